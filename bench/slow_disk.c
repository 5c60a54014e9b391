// Put before a program by LD_PRELOAD: its disk confirms what was written after SLOW_DISK_US microseconds (1000), however fast it is.
// What is written is not made durable.

#include <stdlib.h>
#include <time.h>

static int confirm(void) {
  const char* us = getenv("SLOW_DISK_US");
  const struct timespec span = {0, (us ? atol(us) : 1000) * 1000};
  clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL);
  return 0;
}

int fdatasync(int fd) { return (void)fd, confirm(); }
int fsync(int fd) { return (void)fd, confirm(); }
