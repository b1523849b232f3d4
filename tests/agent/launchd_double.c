/* Stands in for libSystem of macOS: launch_activate_socket(3) as its page has it, over sockets that
   the test made. LAUNCHD_SOCKETS holds their numbers, apart by blanks; without
   it the process is no job of launchd's. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int handed; /* arrays that were handed out and not freed */
static int activated;

int launch_activate_socket(const char *name, int **fds, size_t *cnt)
{
    const char *sockets = getenv("LAUNCHD_SOCKETS");

    if (sockets == NULL)
        return ESRCH;
    if (strcmp(name, "Listener") != 0)
        return ENOENT;
    if (activated++)
        return EALREADY;
    *fds = malloc(sizeof **fds * (strlen(sockets) + 1));
    if (*fds == NULL)
        return ENOMEM;
    for (*cnt = 0; *sockets != '\0'; (*cnt)++)
        (*fds)[*cnt] = strtol(sockets, (char **)&sockets, 10);
    handed++;
    return 0;
}

extern void __libc_free(void *memory);

void free(void *memory)
{
    handed -= memory != NULL;
    __libc_free(memory);
}
