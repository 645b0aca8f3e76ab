/* The system calls behind a reply's parts. */
#ifndef OTTLA_NATIVE_SENDING_H
#define OTTLA_NATIVE_SENDING_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

/* As part_sending has them. */
enum { OTTLA_FULL = 1, OTTLA_COLD = 2 };

/* What Linux reads from a disk at once: neighbours within it are cached together. */
enum { OTTLA_READ_AHEAD_BYTES = 128 * 1024 };

static ssize_t ottla_send_bytes(int connection, const char *data, ssize_t size) {
  return send(connection, data, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static ssize_t ottla_send_slice(int connection, int file, off_t position, ssize_t size) {
  return sendfile(connection, file, &position, (size_t)size);
}

static int ottla_would_wait(int file, off_t position) {
  char byte;
  struct iovec one = {&byte, 1};
  /* Any other error: the file system does not know RWF_NOWAIT, or sending will tell. */
  return preadv2(file, &one, 1, position, RWF_NOWAIT) < 0 && errno == EAGAIN;
}

static int ottla_is_cached(int file, off_t position, ssize_t size) {
  if (ottla_would_wait(file, position + size - 1)) return 0;
  return size <= OTTLA_READ_AHEAD_BYTES || !ottla_would_wait(file, position);
}

#endif
