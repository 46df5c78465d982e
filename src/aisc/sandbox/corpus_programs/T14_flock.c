// attack: signal another run by locking files that both can open: the input and the image
// threat: T14
// expect: COMPLETED
// pair: yes
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
    const char *names[] = {"/input/targets.sh", "/input", argv[0], "/dev/null", "/dev/urandom"};
    int writer = argc > 1 && strcmp(argv[1], "writer") == 0, files[5];
    const char *word = getenv("AISC_MEET");
    long now = time(NULL), meet = word ? atol(word) : now + 1;
    puts(now > meet ? "TRIED\nLATE" : "TRIED");
    fflush(stdout);
    if (!writer && now <= meet) sleep(meet - now + 1);
    for (int i = 0; i < 5; i++) files[i] = open(argc > 2 ? argv[2] : names[i], O_RDONLY);
    if (writer) {
        for (int i = 0; i < 5; i++) flock(files[i], LOCK_EX);
        sleep(now > meet ? 0 : meet - now + 3);
        return 0;
    }
    for (int round = 0; round < 4; round++, usleep(250000)) {
        for (int i = 0; i < 5; i++) {
            if (files[i] < 0) continue;
            if (flock(files[i], LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
                printf("GAINED a locked %s\n", names[i]);
                return 0;
            }
            flock(files[i], LOCK_UN);
        }
    }
    return 0;
}
