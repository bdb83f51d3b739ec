// SPDX-License-Identifier: BSD-2-Clause
// Files as every file system has them: links, names, modes, sparse files, vectors of buffers,
// appending, directories, renaming, attributes, allocation, direct I/O.
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#define MEGABYTE (1u << 20)

static int create(const char *path)
{
    return SUCCEED(open(path, O_RDWR | O_CREAT | O_TRUNC, 0644));
}

TEST(open_modes, "O_EXCL, O_TRUNC, O_APPEND, O_NOFOLLOW, O_DIRECTORY, O_TMPFILE, O_PATH")
{
    int file = create("file");
    write_all(file, "abc", 3);
    FAIL_WITH(open("file", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    FAIL_WITH(open("none", O_RDONLY), ENOENT);
    FAIL_WITH(open("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
    FAIL_WITH(open(".", O_RDWR), EISDIR);
    FAIL_WITH(open("file/x", O_RDONLY), ENOTDIR);
    SUCCEED(symlink("file", "link"));
    FAIL_WITH(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
    int other = SUCCEED(open("link", O_WRONLY | O_APPEND));
    SUCCEED(lseek(other, 0, SEEK_SET));
    write_all(other, "def", 3);
    REQUIRE(strcmp(read_file("file"), "abcdef") == 0);
    SUCCEED(open("file", O_WRONLY | O_TRUNC));
    REQUIRE(strcmp(read_file("file"), "") == 0);
    FAIL_WITH(read(other, &file, 1), EBADF);
    char long_name[300];
    memset(long_name, 'n', sizeof long_name);
    long_name[256] = 0;
    FAIL_WITH(open(long_name, O_RDWR | O_CREAT, 0600), ENAMETOOLONG);
    long_name[255] = 0;
    SUCCEED(open(long_name, O_RDWR | O_CREAT, 0600));
    int path_only = SUCCEED(open("file", O_PATH));
    FAIL_WITH(write(path_only, "x", 1), EBADF);
    struct stat status;
    SUCCEED(fstat(path_only, &status));
}

TEST(unnamed_file, "O_TMPFILE has no name until it is given one")
{
    int file = open(".", O_RDWR | O_TMPFILE, 0600);
    if (file < 0 && errno == EOPNOTSUPP)
        skip("this file system has no O_TMPFILE");
    SUCCEED(file);
    write_all(file, "unnamed", 7);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    SUCCEED(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    REQUIRE(strcmp(read_file("named"), "unnamed") == 0);
}

TEST(sparse, "a file of 100 GiB with a few bytes in it: holes read as zero and take no room")
{
    int file = create("sparse");
    off_t far = 100ll << 30;
    SUCCEED(pwrite(file, "end", 3, far));
    SUCCEED(pwrite(file, "mid", 3, 5 * MEGABYTE));
    struct stat status;
    SUCCEED(fstat(file, &status));
    REQUIRE_EQUAL(status.st_size, far + 3);
    REQUIRE(status.st_blocks < 1000);
    char bytes[8192];
    memset(bytes, 1, sizeof bytes);
    REQUIRE_EQUAL(pread(file, bytes, sizeof bytes, 50ll << 30), sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        REQUIRE_EQUAL(bytes[i], 0);
    off_t data = SUCCEED(lseek(file, 0, SEEK_DATA));
    REQUIRE(data <= 5 * MEGABYTE);
    off_t hole = SUCCEED(lseek(file, 5 * MEGABYTE, SEEK_HOLE));
    REQUIRE(hole > 5 * MEGABYTE && hole <= far + 3);
    FAIL_WITH(lseek(file, far + 3, SEEK_DATA), ENXIO);
    FAIL_WITH(lseek(file, -1, SEEK_SET), EINVAL);
    SUCCEED(ftruncate(file, 5 * MEGABYTE + 1));
    SUCCEED(ftruncate(file, 6 * MEGABYTE));
    REQUIRE_EQUAL(pread(file, bytes, 3, 5 * MEGABYTE), 3);
    REQUIRE(bytes[0] == 'm' && bytes[1] == 0);
}

TEST(allocation, "fallocate: room ahead, keeping the size, holes punched")
{
    int file = create("file");
    struct stat status;
    if (fallocate(file, 0, 0, MEGABYTE) != 0 && errno == EOPNOTSUPP)
        skip("this file system has no fallocate");
    SUCCEED(fstat(file, &status));
    REQUIRE_EQUAL(status.st_size, MEGABYTE);
    REQUIRE(status.st_blocks >= 2048);
    SUCCEED(fallocate(file, FALLOC_FL_KEEP_SIZE, MEGABYTE, MEGABYTE));
    SUCCEED(fstat(file, &status));
    REQUIRE_EQUAL(status.st_size, MEGABYTE);
    static uint8_t bytes[MEGABYTE];
    fill_pattern(bytes, MEGABYTE, 1);
    REQUIRE_EQUAL(pwrite(file, bytes, MEGABYTE, 0), MEGABYTE);
    SUCCEED(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 65536));
    memset(bytes, 9, MEGABYTE);
    REQUIRE_EQUAL(pread(file, bytes, MEGABYTE, 0), MEGABYTE);
    REQUIRE(has_pattern(bytes, 8192, 1));
    for (size_t i = 8192; i < 8192 + 65536; i++)
        REQUIRE_EQUAL(bytes[i], 0);
}

TEST(vectors, "readv, writev, preadv, pwritev2 with many and empty buffers")
{
    uint8_t parts[20][100], back[2000];
    struct iovec vector[40];
    for (unsigned i = 0; i < 20; i++) {
        fill_pattern(parts[i], 100, i);
        vector[2 * i] = (struct iovec){parts[i], 100};
        vector[2 * i + 1] = (struct iovec){NULL, 0};
    }
    int file = create("file");
    REQUIRE_EQUAL(writev(file, vector, 40), 2000);
    REQUIRE_EQUAL(pread(file, back, 2000, 0), 2000);
    for (unsigned i = 0; i < 20; i++)
        REQUIRE(has_pattern(back + 100 * i, 100, i));
    memset(parts, 0, sizeof parts);
    REQUIRE_EQUAL(preadv(file, vector, 40, 500), 1500);
    for (unsigned i = 0; i < 15; i++)
        REQUIRE(has_pattern(parts[i], 100, i + 5));
    REQUIRE_EQUAL(pwritev2(file, vector, 2, 4000, RWF_SYNC), 100);
    FAIL_WITH(syscall(SYS_readv, file, vector, -1), EINVAL);
    FAIL_WITH(syscall(SYS_writev, file, vector, 1025), EINVAL);
}

TEST(links, "hard and symbolic links, their counts, loops of them, renaming over each other")
{
    struct stat status;
    write_file("a", "a");
    write_file("b", "b");
    SUCCEED(link("a", "c"));
    SUCCEED(stat("a", &status));
    REQUIRE_EQUAL(status.st_nlink, 2);
    SUCCEED(unlink("a"));
    REQUIRE(strcmp(read_file("c"), "a") == 0);
    SUCCEED(symlink("loop", "loop"));
    FAIL_WITH(open("loop", O_RDONLY), ELOOP);
    SUCCEED(rename("b", "c"));
    REQUIRE(strcmp(read_file("c"), "b") == 0);
    FAIL_WITH(open("b", O_RDONLY), ENOENT);
    write_file("d", "d");
    long exchanged = syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "d", RENAME_EXCHANGE);
    SUCCEED(exchanged);
    REQUIRE(strcmp(read_file("d"), "b") == 0);
    FAIL_WITH(syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "d", RENAME_NOREPLACE), EEXIST);
    SUCCEED(mkdir("folder", 0755));
    FAIL_WITH(rename("folder", "folder/inside"), EINVAL);
    FAIL_WITH(rename("c", "folder"), EISDIR);
    FAIL_WITH(link("folder", "other"), EPERM);
    FAIL_WITH(unlink("folder"), EISDIR);
    char target[16];
    REQUIRE_EQUAL(readlink("loop", target, 2), 2);
}

TEST(folders, "a folder of 1,000 files: listed completely, counted, not removed before it is empty")
{
    char path[64];
    SUCCEED(mkdir("many", 0755));
    for (int i = 0; i < 1000; i++) {
        snprintf(path, sizeof path, "many/a file with number %d", i);
        close(create(path));
    }
    static bool seen[1000];
    DIR *folder = opendir("many");
    REQUIRE(folder != NULL);
    struct dirent *entry;
    int count = 0;
    while ((entry = readdir(folder)) != NULL) {
        int number;
        if (sscanf(entry->d_name, "a file with number %d", &number) == 1) {
            REQUIRE(number >= 0 && number < 1000 && !seen[number]);
            REQUIRE(entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN);
            seen[number] = true;
            count++;
        }
    }
    closedir(folder);
    REQUIRE_EQUAL(count, 1000);
    FAIL_WITH(rmdir("many"), ENOTEMPTY);
    for (int i = 0; i < 1000; i++) {
        snprintf(path, sizeof path, "many/a file with number %d", i);
        SUCCEED(unlink(path));
    }
    SUCCEED(rmdir("many"));
    FAIL_WITH(rmdir("."), EINVAL);
    FAIL_WITH(mkdir("none/sub", 0755), ENOENT);
}

TEST(status, "stat, statx, times set and told, modes, owners, statvfs")
{
    int file = create("file");
    struct timespec times[2] = {{1000000000, 123456789}, {1100000000, 987654321}};
    struct stat status;
    struct statx extended;
    SUCCEED(futimens(file, times));
    SUCCEED(fstat(file, &status));
    REQUIRE_EQUAL(status.st_atim.tv_sec, 1000000000);
    REQUIRE_EQUAL(status.st_mtim.tv_nsec, 987654321);
    REQUIRE_EQUAL(status.st_uid, geteuid());
    SUCCEED(fchmod(file, 04751));
    SUCCEED(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, &extended));
    REQUIRE_EQUAL(extended.stx_mode, S_IFREG | 04751);
    REQUIRE_EQUAL(extended.stx_ino, status.st_ino);
    if (geteuid() == 0) {
        SUCCEED(fchown(file, 123, 456));
        SUCCEED(fstat(file, &status));
        REQUIRE(status.st_uid == 123 && status.st_gid == 456);
        REQUIRE_EQUAL(status.st_mode & 07777, 0751); // set-user-id is lost with the owner
    }
    struct statvfs whole;
    SUCCEED(fstatvfs(file, &whole));
    REQUIRE(whole.f_bsize >= 512 && whole.f_namemax >= 255);
    write_all(file, "x", 1);
    SUCCEED(fstat(file, &status));
    REQUIRE(status.st_mtim.tv_sec > 1100000000);
    SUCCEED(access("file", R_OK | W_OK));
    FAIL_WITH(access("none", F_OK), ENOENT);
}

static void as_other_user(void *argument)
{
    (void)argument;
    SUCCEED(setresgid(54321, 54321, 54321));
    SUCCEED(setresuid(54321, 54321, 54321));
    FAIL_WITH(open("secret", O_RDONLY), EACCES);
    FAIL_WITH(open("folder/file", O_RDONLY), EACCES);
    FAIL_WITH(chmod("secret", 0777), EPERM);
    FAIL_WITH(unlink("secret"), EACCES);
    SUCCEED(open("public", O_RDONLY));
    FAIL_WITH(open("public", O_WRONLY), EACCES);
    FAIL_WITH(setresuid(0, 0, 0), EPERM);
    FAIL_WITH(kill(1, SIGUSR1), EPERM);
}

TEST(permissions, "another user cannot do what modes forbid")
{
    if (geteuid() != 0)
        skip("needs root to become another user");
    write_file("secret", "secret");
    SUCCEED(chmod("secret", 0600));
    write_file("public", "public");
    SUCCEED(mkdir("folder", 0700));
    write_file("folder/file", "");
    in_child(as_other_user, NULL);
}

TEST(attributes, "extended attributes: set, replaced, listed, removed")
{
    write_file("file", "");
    // tmpfs of Linux 6.1 has trusted ones only; other file systems have both.
    const char *names[] = {"user.first", "user.second"};
    if (setxattr("file", names[0], "one", 3, 0) != 0) {
        REQUIRE_EQUAL(errno, EOPNOTSUPP);
        names[0] = "trusted.first";
        names[1] = "trusted.second";
        SUCCEED_OR_SKIP(setxattr("file", names[0], "one", 3, 0), "trusted attributes need root");
    }
    FAIL_WITH(setxattr("file", names[0], "two", 3, XATTR_CREATE), EEXIST);
    FAIL_WITH(setxattr("file", names[1], "two", 3, XATTR_REPLACE), ENODATA);
    SUCCEED(setxattr("file", names[1], "second", 6, 0));
    char value[64];
    REQUIRE_EQUAL(getxattr("file", names[1], value, sizeof value), 6);
    REQUIRE(memcmp(value, "second", 6) == 0);
    FAIL_WITH(getxattr("file", names[1], value, 3), ERANGE);
    REQUIRE(listxattr("file", value, sizeof value) >=
            (ssize_t)(strlen(names[0]) + strlen(names[1]) + 2));
    SUCCEED(removexattr("file", names[0]));
    FAIL_WITH(getxattr("file", names[0], value, sizeof value), ENODATA);
}

TEST(direct, "O_DIRECT reads and writes, alternating with buffered ones")
{
    int buffered = create("file"), file = open("file", O_RDWR | O_DIRECT);
    if (file < 0 && errno == EINVAL)
        skip("this file system has no O_DIRECT");
    SUCCEED(file);
    uint8_t *at =
        SUCCEED(mmap(NULL, MEGABYTE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    fill_pattern(at, MEGABYTE, 1);
    REQUIRE_EQUAL(pwrite(file, at, MEGABYTE, 0), MEGABYTE);
    static uint8_t other[MEGABYTE];
    REQUIRE_EQUAL(pread(buffered, other, MEGABYTE, 0), MEGABYTE);
    REQUIRE(has_pattern(other, MEGABYTE, 1));
    fill_pattern(other, 65536, 2);
    REQUIRE_EQUAL(pwrite(buffered, other, 65536, 4096), 65536);
    REQUIRE_EQUAL(pread(file, at, 65536, 4096), 65536);
    REQUIRE(has_pattern(at, 65536, 2));
    SUCCEED(fsync(file));
    SUCCEED(fdatasync(buffered));
    SUCCEED(syncfs(buffered));
}

TEST(descriptor_limits, "RLIMIT_NOFILE, dup, dup3 and fcntl; closed ones are EBADF")
{
    struct rlimit_ {
        uint64_t current, maximum;
    } limit = {50, 50};
    SUCCEED(syscall(SYS_prlimit64, 0, 7, &limit, NULL));
    int count = 0;
    while (dup(1) >= 0)
        count++;
    REQUIRE_EQUAL(errno, EMFILE);
    REQUIRE(count >= 40 && count <= 47);
    SUCCEED(close(20));
    REQUIRE_EQUAL(dup(1), 20);
    FAIL_WITH(dup2(1, 50), EBADF);
    FAIL_WITH(dup3(1, 1, 0), EINVAL);
    REQUIRE_EQUAL(dup3(1, 21, O_CLOEXEC), 21);
    REQUIRE_EQUAL(fcntl(21, F_GETFD), FD_CLOEXEC);
    SUCCEED(syscall(SYS_close_range, 3, 49, 0));
    FAIL_WITH(read(20, &count, 1), EBADF);
    FAIL_WITH(close(20), EBADF);
    FAIL_WITH(read(-1, &count, 1), EBADF);
}
