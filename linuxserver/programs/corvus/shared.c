// SPDX-License-Identifier: GPL-2.0-only
// corvus shared: a program of this node whose shm_open finds the cluster's segments.
#include "shared.h"
#include "corvus.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

// An ordinary folder would not be the cluster's, and nobody would notice.
static bool is_mounted(const char *folder)
{
    struct stat own, above;

    if (stat(folder, &own) != 0 || stat("/", &above) != 0)
        return false;
    errno = ENODEV;
    return own.st_dev != above.st_dev;
}

bool enter_shared(void)
{
    return is_mounted(SHARED_FOLDER) && unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount(SHARED_FOLDER, POSIX_FOLDER, NULL, MS_BIND, NULL) == 0;
}

int command_shared(const struct options *options, int argc, char **argv)
{
    int error;

    (void)options;
    if (argc > 0 && strcmp(argv[0], "--") == 0) {
        argc--;
        argv++;
    }
    if (argc == 0)
        return wrong_arguments("which program?");
    if (argv[0][0] == '-')
        return wrong_arguments("an option that there is not");
    if (!enter_shared()) {
        fail(SHARED_FOLDER, errno == ENODEV || errno == ENOENT ? "no segments are mounted there"
                                                               : strerror(errno));
        return STATUS_NOT_RUN;
    }
    execvp(argv[0], argv);
    error = errno;
    fail_errno(argv[0]);
    return error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
}
