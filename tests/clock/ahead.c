// Lets a process live by a clock that a test moves. PROCURA_TESTS_CLOCK names a file with two numbers of 64 bits:
// by how many seconds both clocks of the machine are ahead, so that whatever waits for a minute has waited; and, if
// it is not 0, the Unix second at which the clock on the wall stands still.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct clocks {
  int64_t ahead;
  int64_t stopped_at;
};
static volatile const struct clocks *moved;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("PROCURA_TESTS_CLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *map = mmap(NULL, sizeof *moved, PROT_READ, MAP_SHARED, file, 0);
  if (map != MAP_FAILED) moved = map;
  close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int done = (int)syscall(SYS_clock_gettime, clock, now);
  if (done != 0 || !moved) return done;
  if (clock == CLOCK_REALTIME && moved->stopped_at != 0) {
    now->tv_sec = moved->stopped_at;
    now->tv_nsec = 0;
  } else if (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC) {
    now->tv_sec += moved->ahead;
  }
  return done;
}
