/* What the engine's loop asks the system for, and the wait of others for it to have the GIL.
   Elsewhere than on Linux there is no selector here, and Python's own event loop is used. */
#ifndef OTTLA_NATIVE_IO_H
#define OTTLA_NATIVE_IO_H

#include <errno.h>
#include <stdint.h>
#include <time.h>

#ifdef __linux__
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#define OTTLA_HAS_SELECTOR 1
#else
#define OTTLA_HAS_SELECTOR 0
#endif

enum { OTTLA_READ = 1, OTTLA_WRITE = 2, OTTLA_MOST_EVENTS = 64, OTTLA_MOST_BUFFERS = 64 };

typedef struct {
  int fd;
  int events;
} ottla_event;

typedef struct {
  const char *data;
  size_t size;
} ottla_buffer;

/* How long somebody who has given the GIL away waits for the engine to take it. Usually that takes
   some microseconds; when the machine is too busy to run the engine's thread, there is no point. */
static const long OTTLA_PATIENCE_NS = 1000000;

/* How many wait in ottla_await_engines. */
static int ottla_givers;

/* The engine is about to want the GIL. */
static void ottla_want(int *waiting) { __atomic_add_fetch(waiting, 1, __ATOMIC_SEQ_CST); }

/* The engine has it. */
static void ottla_have(int *waiting) {
  int left = __atomic_sub_fetch(waiting, 1, __ATOMIC_SEQ_CST);
#if OTTLA_HAS_SELECTOR
  if (left == 0 && __atomic_load_n(&ottla_givers, __ATOMIC_SEQ_CST) > 0)
    syscall(SYS_futex, waiting, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#else
  (void)left;
#endif
}

/* Wait, without the GIL, until no engine wants it any more. */
static void ottla_await_engines(int *waiting) {
#if OTTLA_HAS_SELECTOR
  struct timespec patience = {0, OTTLA_PATIENCE_NS};
  __atomic_add_fetch(&ottla_givers, 1, __ATOMIC_SEQ_CST);
  int seen = __atomic_load_n(waiting, __ATOMIC_SEQ_CST);
  if (seen > 0) syscall(SYS_futex, waiting, FUTEX_WAIT_PRIVATE, seen, &patience, NULL, 0);
  __atomic_sub_fetch(&ottla_givers, 1, __ATOMIC_SEQ_CST);
#else
  (void)waiting;
#endif
}

#if OTTLA_HAS_SELECTOR

static int ottla_selector_open(void) { return epoll_create1(EPOLL_CLOEXEC); }

static int ottla_wake_open(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

static void ottla_wake(int fd) {
  uint64_t one = 1;
  ssize_t written = write(fd, &one, sizeof one);
  (void)written; /* Full means that a wake-up is under way. */
}

static void ottla_wake_clear(int fd) {
  uint64_t count;
  ssize_t got = read(fd, &count, sizeof count);
  (void)got;
}

static int ottla_control(int selector, int operation, int fd, int events) {
  struct epoll_event event = {0};
  event.data.fd = fd;
  if (events & OTTLA_READ) event.events |= EPOLLIN;
  if (events & OTTLA_WRITE) event.events |= EPOLLOUT;
  int operations[] = {EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL};
  return epoll_ctl(selector, operations[operation], fd, &event);
}

/* The number of events; 0 also when a signal came first. */
static int ottla_select(int selector, ottla_event *out, int timeout_ms) {
  struct epoll_event events[OTTLA_MOST_EVENTS];
  int count = epoll_wait(selector, events, OTTLA_MOST_EVENTS, timeout_ms);
  if (count < 0) return errno == EINTR ? 0 : -errno;
  for (int i = 0; i < count; i++) {
    out[i].fd = events[i].data.fd;
    /* Errors and hang-ups are for both to find out. */
    out[i].events = (events[i].events & ~EPOLLOUT ? OTTLA_READ : 0) |
                    (events[i].events & ~EPOLLIN ? OTTLA_WRITE : 0);
  }
  return count;
}

static int64_t ottla_receive(int fd, char *into, size_t size) {
  ssize_t count = recv(fd, into, size, MSG_DONTWAIT);
  return count < 0 ? -errno : count;
}

/* The longest that one connection is received from while others wait. */
static const int64_t OTTLA_TURN_NS = 2000000;

static int64_t ottla_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Receive until the room is full, waiting for more as long as this is fd's turn and nobody calls. */
static int64_t ottla_receive_much(int fd, int wake_fd, char *into, size_t size) {
  struct pollfd watched[] = {{fd, POLLIN, 0}, {wake_fd, POLLIN, 0}};
  int64_t until_ns = ottla_now_ns() + OTTLA_TURN_NS;
  size_t received = 0;
  while (received < size) {
    int64_t count = ottla_receive(fd, into + received, size - received);
    if (count > 0) {
      received += count;
      continue;
    }
    int is_empty = count == -EAGAIN || count == -EWOULDBLOCK;
    int64_t left_ns = until_ns - ottla_now_ns();
    /* The end, or an error, is met again by the next call. */
    if (!is_empty || left_ns <= 0) return received > 0 ? (int64_t)received : count;
    struct timespec patience = {0, left_ns};
    if (ppoll(watched, 2, &patience, NULL) <= 0 || watched[1].revents) break;
  }
  return received > 0 ? (int64_t)received : -EAGAIN;
}

static int64_t ottla_send(int fd, const ottla_buffer *buffers, int count) {
  struct iovec parts[OTTLA_MOST_BUFFERS];
  struct msghdr message = {0};
  for (int i = 0; i < count; i++) {
    parts[i].iov_base = (void *)buffers[i].data;
    parts[i].iov_len = buffers[i].size;
  }
  message.msg_iov = parts;
  message.msg_iovlen = count;
  ssize_t sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent < 0 ? -errno : sent;
}

#else

static int ottla_selector_open(void) { errno = ENOSYS; return -1; }
static int ottla_wake_open(void) { errno = ENOSYS; return -1; }
static void ottla_wake(int fd) { (void)fd; }
static void ottla_wake_clear(int fd) { (void)fd; }
static int ottla_control(int selector, int operation, int fd, int events) { return -1; }
static int ottla_select(int selector, ottla_event *out, int timeout_ms) { return -ENOSYS; }
static int64_t ottla_receive(int fd, char *into, size_t size) { return -ENOSYS; }
static int64_t ottla_receive_much(int fd, int wake_fd, char *into, size_t size) { return -ENOSYS; }
static int64_t ottla_send(int fd, const ottla_buffer *b, int count) { return -ENOSYS; }

#endif
#endif
