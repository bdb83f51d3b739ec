// SPDX-License-Identifier: BSD-2-Clause
// File systems: tmpfs with its limits, ext4 made anew on a block device and mounted again,
// overlayfs over both, bind mounts, in a mount namespace of the test's own.
#include "harness.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define MEGABYTE (1u << 20)

// Mounts of the test are nobody else's and end with it.
static void own_mounts(void)
{
    if (geteuid() != 0)
        skip("needs root to mount");
    SUCCEED_OR_SKIP(unshare(CLONE_NEWNS), "mount namespaces are not allowed here");
    SUCCEED(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

static void mount_or_skip(const char *source, const char *target, const char *type,
                          const char *options)
{
    SUCCEED(mkdir(target, 0755) == 0 || errno == EEXIST ? 0 : -1);
    if (mount(source, target, type, 0, options) != 0) {
        if (errno == ENODEV)
            skip("this kernel has no such file system");
        FAIL("mount %s on %s: %s", type, target, strerror(errno));
    }
}

TEST(tmpfs, "tmpfs: its size, running full, room given back, remounted read-only")
{
    own_mounts();
    mount_or_skip("none", "t", "tmpfs", "size=4m,nr_inodes=50,mode=700");
    struct statvfs status;
    SUCCEED(statvfs("t", &status));
    REQUIRE_EQUAL(status.f_blocks * status.f_frsize, 4 * MEGABYTE);
    static uint8_t bytes[MEGABYTE];
    int file = SUCCEED(open("t/file", O_RDWR | O_CREAT, 0600));
    for (unsigned i = 0; i < 4; i++) {
        fill_pattern(bytes, sizeof bytes, i);
        write_all(file, bytes, sizeof bytes);
    }
    FAIL_WITH(write(file, bytes, 1), ENOSPC);
    for (unsigned i = 0; i < 4; i++) {
        REQUIRE_EQUAL(pread(file, bytes, sizeof bytes, i * MEGABYTE), MEGABYTE);
        REQUIRE(has_pattern(bytes, sizeof bytes, i));
    }
    SUCCEED(ftruncate(file, 0));
    SUCCEED(statvfs("t", &status));
    REQUIRE(status.f_bfree > 1000);
    char path[32];
    int made = 0;
    while (made < 100) {
        snprintf(path, sizeof path, "t/%d", made);
        if (open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) < 0)
            break;
        made++;
    }
    REQUIRE_EQUAL(errno, ENOSPC);
    REQUIRE(made >= 40 && made < 50);
    FAIL_WITH(umount("t"), EBUSY);
    SUCCEED(syscall(SYS_close_range, 3, ~0u, 0));
    SUCCEED(mount(NULL, "t", NULL, MS_REMOUNT | MS_RDONLY, "size=4m"));
    FAIL_WITH(open("t/more", O_RDWR | O_CREAT, 0600), EROFS);
    SUCCEED(umount("t"));
}

// --- ext4 ---------------------------------------------------------------------------------------

static char device[64];

// What the driver gave for it, or a loop device over a file of 24 MiB.
static void need_device(void)
{
    const char *given = getenv("CORVUS_TEST_DEVICE");
    if (given != NULL && given[0] != 0) {
        snprintf(device, sizeof device, "%s", given);
        return;
    }
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        skip("neither CORVUS_TEST_DEVICE nor loop devices are there");
    int number = SUCCEED(ioctl(control, LOOP_CTL_GET_FREE));
    snprintf(device, sizeof device, "/dev/loop%d", number);
    int file = SUCCEED(open("image", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    SUCCEED(ftruncate(file, 24 * MEGABYTE));
    int loop = SUCCEED(open(device, O_RDWR | O_CLOEXEC));
    SUCCEED(ioctl(loop, LOOP_SET_FD, file));
    // Ends with its last user.
    struct loop_info64 info = {.lo_flags = LO_FLAGS_AUTOCLEAR};
    SUCCEED(ioctl(loop, LOOP_SET_STATUS64, &info));
    SUCCEED(dup2(loop, 100)); // stays open for the test
}

static int run(const char *const *arguments)
{
    pid_t process = fork();
    if (process == 0) {
        int nothing = SUCCEED(open("/dev/null", O_RDWR));
        SUCCEED(dup2(nothing, 1));
        SUCCEED(dup2(nothing, 2));
        execvp(arguments[0], (char *const *)arguments);
        _exit(127);
    }
    int status;
    SUCCEED(waitpid(process, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void make_ext4(void)
{
    need_device();
    const char *arguments[] = {"mke2fs", "-q", "-F", "-t", "ext4", device, "24M", NULL};
    int status = run(arguments);
    if (status == 127)
        skip("mke2fs is not there");
    REQUIRE_EQUAL(status, 0);
}

static void fill_tree(const char *top)
{
    char path[256];
    static uint8_t bytes[100000];
    for (unsigned i = 0; i < 30; i++) {
        snprintf(path, sizeof path, "%s/folder-%u", top, i % 5);
        SUCCEED(mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : -1);
        snprintf(path, sizeof path, "%s/folder-%u/file-%u", top, i % 5, i);
        int file = SUCCEED(open(path, O_RDWR | O_CREAT, 0644));
        fill_pattern(bytes, i * 3000, i);
        write_all(file, bytes, i * 3000);
        close(file);
    }
    snprintf(path, sizeof path, "%s/link", top);
    SUCCEED(symlink("folder-1/file-6", path));
}

static void check_tree(const char *top)
{
    char path[256];
    static uint8_t bytes[100000];
    for (unsigned i = 0; i < 30; i++) {
        snprintf(path, sizeof path, "%s/folder-%u/file-%u", top, i % 5, i);
        int file = SUCCEED(open(path, O_RDONLY));
        REQUIRE_EQUAL(read(file, bytes, sizeof bytes), i * 3000);
        REQUIRE(has_pattern(bytes, i * 3000, i));
        close(file);
    }
    snprintf(path, sizeof path, "%s/link", top);
    struct stat status;
    SUCCEED(stat(path, &status));
    REQUIRE_EQUAL(status.st_size, 18000);
}

TEST_WITHIN(ext4,
            "ext4: made, filled, unmounted, mounted again and found as it was; checked by e2fsck",
            120)
{
    own_mounts();
    make_ext4();
    mount_or_skip(device, "e", "ext4", NULL);
    fill_tree("e");
    SUCCEED(umount("e"));
    const char *check[] = {"e2fsck", "-f", "-n", device, NULL};
    REQUIRE_EQUAL(run(check), 0);
    mount_or_skip(device, "e", "ext4", NULL);
    check_tree("e");
    SUCCEED(unlink("e/folder-2/file-7"));
    SUCCEED(umount("e"));
    mount_or_skip(device, "e", "ext4", NULL);
    FAIL_WITH(open("e/folder-2/file-7", O_RDONLY), ENOENT);
    SUCCEED(umount("e"));
    REQUIRE_EQUAL(run(check), 0);
}

TEST_WITHIN(ext4_full,
            "ext4: running full is ENOSPC, shared mappings of its files reach the device", 120)
{
    own_mounts();
    make_ext4();
    mount_or_skip(device, "e", "ext4", NULL);
    int file = SUCCEED(open("e/file", O_RDWR | O_CREAT, 0644));
    SUCCEED(ftruncate(file, 2 * MEGABYTE));
    uint8_t *at = SUCCEED(mmap(NULL, 2 * MEGABYTE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    fill_pattern(at, 2 * MEGABYTE, 5);
    SUCCEED(msync(at, 2 * MEGABYTE, MS_SYNC));
    SUCCEED(munmap(at, 2 * MEGABYTE));
    static uint8_t bytes[MEGABYTE];
    int big = SUCCEED(open("e/big", O_RDWR | O_CREAT, 0644));
    ssize_t count;
    while ((count = write(big, bytes, sizeof bytes)) > 0)
        continue;
    REQUIRE(count == 0 || errno == ENOSPC);
    close(big);
    close(file);
    SUCCEED(umount("e"));
    mount_or_skip(device, "e", "ext4", "ro");
    file = SUCCEED(open("e/file", O_RDONLY));
    at = SUCCEED(mmap(NULL, 2 * MEGABYTE, PROT_READ, MAP_SHARED, file, 0));
    REQUIRE(has_pattern(at, 2 * MEGABYTE, 5));
    SUCCEED(munmap(at, 2 * MEGABYTE));
    close(file);
    FAIL_WITH(open("e/new", O_RDWR | O_CREAT, 0644), EROFS);
    SUCCEED(umount("e"));
}

TEST(bad_images, "what is no ext4 is not mounted")
{
    own_mounts();
    need_device();
    int file = SUCCEED(open(device, O_RDWR | O_CLOEXEC));
    static uint8_t bytes[MEGABYTE];
    fill_pattern(bytes, sizeof bytes, 1);
    write_all(file, bytes, sizeof bytes);
    SUCCEED(fsync(file));
    close(file);
    SUCCEED(mkdir("e", 0755));
    REQUIRE_EQUAL(mount(device, "e", "ext4", 0, NULL), -1);
    REQUIRE(errno == EINVAL || errno == ENODEV);
    FAIL_WITH(mount("none", "e", "no-such-fs", 0, NULL), ENODEV);
    FAIL_WITH(mount("none", "nowhere", "tmpfs", 0, NULL), ENOENT);
}

// --- overlayfs ----------------------------------------------------------------------------------

TEST(overlay,
     "overlayfs: changes go to the upper layer, removed files leave a mark, the lower stays")
{
    own_mounts();
    mount_or_skip("none", "o", "tmpfs", NULL);
    SUCCEED(chdir("o"));
    static const char *const folders[] = {"lower", "upper", "work", "merged"};
    for (int i = 0; i < 4; i++)
        SUCCEED(mkdir(folders[i], 0755));
    write_file("lower/kept", "kept");
    write_file("lower/changed", "before");
    write_file("lower/removed", "removed");
    mount_or_skip("overlay", "merged", "overlay", "lowerdir=lower,upperdir=upper,workdir=work");
    REQUIRE(strcmp(read_file("merged/kept"), "kept") == 0);
    int file = SUCCEED(open("merged/changed", O_WRONLY | O_APPEND));
    write_all(file, " after", 6);
    close(file);
    SUCCEED(unlink("merged/removed"));
    write_file("merged/new", "new");
    REQUIRE(strcmp(read_file("merged/changed"), "before after") == 0);
    REQUIRE(strcmp(read_file("lower/changed"), "before") == 0);
    REQUIRE(strcmp(read_file("upper/changed"), "before after") == 0);
    REQUIRE(strcmp(read_file("upper/new"), "new") == 0);
    REQUIRE(strcmp(read_file("lower/removed"), "removed") == 0);
    FAIL_WITH(open("merged/removed", O_RDONLY), ENOENT);
    struct stat status;
    SUCCEED(lstat("upper/removed", &status));
    REQUIRE(S_ISCHR(status.st_mode) && status.st_rdev == 0);
    FAIL_WITH(open("upper/kept", O_RDONLY), ENOENT);
    SUCCEED(umount("merged"));
}

TEST(bind, "bind mounts, read-only ones, moved ones, and the namespace keeps them to itself")
{
    own_mounts();
    SUCCEED(mkdir("a", 0755));
    SUCCEED(mkdir("b", 0755));
    write_file("a/file", "through");
    SUCCEED(mount("a", "b", NULL, MS_BIND, NULL));
    REQUIRE(strcmp(read_file("b/file"), "through") == 0);
    SUCCEED(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
    FAIL_WITH(open("b/file", O_WRONLY), EROFS);
    SUCCEED(open("a/file", O_WRONLY | O_CLOEXEC));
    REQUIRE(strstr(read_file("/proc/self/mountinfo"), "/b ") != NULL);
    pid_t parent = getppid();
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mountinfo", parent);
    char folder[4096];
    REQUIRE(getcwd(folder, sizeof folder) != NULL);
    strcat(folder, "/b ");
    REQUIRE(strstr(read_file(path), folder) == NULL);
    SUCCEED(umount2("b", MNT_DETACH));
    FAIL_WITH(umount("b"), EINVAL);
}
