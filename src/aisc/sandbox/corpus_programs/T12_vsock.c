// attack: talk to the hypervisor or a neighbour by vsock, past every network rule
// threat: T12 T14
// expect: COMPLETED
#include <stdio.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>
int main(void) {
    puts("TRIED");
    int s = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (s < 0) return 0;
    puts("GAINED a vsock socket");
    for (unsigned cid = 0; cid < 4; cid++) {
        struct sockaddr_vm to = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = 1024};
        if (connect(s, (struct sockaddr *)&to, sizeof to) == 0) printf("GAINED a connection to cid %u\n", cid);
    }
    return 0;
}
