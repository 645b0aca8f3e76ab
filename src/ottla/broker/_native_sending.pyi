from ottla.broker.replies import Parts

def send_parts(
    descriptor: int, parts: Parts, index: int, done_bytes: int, is_warm: bool
) -> tuple[int, int, int]: ...
