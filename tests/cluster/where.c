// The least that an image for actions does: on port 8080 it answers whatever it is asked, `/run` with what it runs on. Linked
// statically, an image needs nothing else.
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

// One request, then the connection is closed, so that nobody who keeps one keeps others waiting.
static void answer(FILE *peer) {
    char line[4096], body[256];
    long length = 0;
    struct utsname name;
    while (fgets(line, sizeof line, peer) && strcmp(line, "\r\n")) {
        if (!strncasecmp(line, "content-length:", 15)) length = atol(line + 15);
    }
    while (length-- > 0 && fgetc(peer) != EOF) {
    }
    uname(&name);
    snprintf(body, sizeof body, "{\"on\": \"%s\"}", name.machine);
    fprintf(peer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
            strlen(body), body);
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8080)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16)) {
        perror("port 8080");
        return 1;
    }
    for (;;) {
        FILE *peer = fdopen(accept(listener, NULL, NULL), "r+");
        if (!peer) continue;
        setbuf(peer, NULL);
        answer(peer);
        fclose(peer);
    }
}
