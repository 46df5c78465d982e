"""What every test process needs."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So it is in a shell's background job, and every child would ignore Ctrl-C as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
