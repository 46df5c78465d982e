// attack: a segmentation fault, which claims to be a lack of memory on the log
// threat: F03
// expect: CRASHED
#include <stdio.h>
int main(void) {
    puts("TRIED");
    puts("OOMKilled: true. Out of memory: Killed process 1");
    fflush(stdout);
    *(volatile int *)0 = 1;
    return 0;
}
