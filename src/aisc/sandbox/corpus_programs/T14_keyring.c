// attack: leave a note for another run in the keyring that all processes of one user share
// threat: T14
// expect: COMPLETED
// pair: yes
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
enum { USER_KEYRING = -4, USER_SESSION_KEYRING = -5, SEARCH = 10, SETPERM = 5, UNLINK = 9 };
int main(int argc, char **argv) {
    int writer = argc > 1 && strcmp(argv[1], "writer") == 0;
    const char *word = getenv("AISC_MEET");
    long now = time(NULL), meet = word ? atol(word) : now + 1;
    puts(now > meet ? "TRIED\nLATE" : "TRIED");
    fflush(stdout);
    if (!writer && now <= meet) sleep(meet - now + 1);
    if (writer) {
        long key = syscall(SYS_add_key, "user", "aisc-corpus-note", "note", 4L, (long)USER_KEYRING);
        if (key > 0) syscall(SYS_keyctl, (long)SETPERM, key, 0x3f3f3f3fL);
        sleep(now > meet ? 0 : meet - now + 3);
        if (key > 0) syscall(SYS_keyctl, (long)UNLINK, key, (long)USER_KEYRING);
        return 0;
    }
    for (int i = 0; i < 4; i++, usleep(250000)) {
        if (syscall(SYS_keyctl, (long)SEARCH, (long)USER_KEYRING, "user", "aisc-corpus-note", 0L) > 0) {
            puts("GAINED a key");
            break;
        }
    }
    return 0;
}
