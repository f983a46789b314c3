/* Looks up the names on its input, one in hexadecimal digits a line, and answers each by a line: what getaddrinfo says. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(void)
{
    char line[4096], name[2048];
    while (fgets(line, sizeof line, stdin)) {
        size_t length = 0;
        unsigned octet;
        while (sscanf(line + 2 * length, "%2x", &octet) == 1)
            name[length++] = (char)octet;
        name[length] = 0;
        struct addrinfo hints, *found = NULL;
        memset(&hints, 0, sizeof hints);
        hints.ai_socktype = SOCK_STREAM;
        int error = getaddrinfo(name, "80", &hints, &found);
        printf("%d\n", error);
        fflush(stdout);
        if (!error)
            freeaddrinfo(found);
    }
    return 0;
}
