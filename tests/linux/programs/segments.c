// SPDX-License-Identifier: BSD-2-Clause
// The cluster's segments as files in /dsm: they behave as those of tmpfs do, where POSIX shared
// memory lives. All on one node; memobj.sh has two.
#include "harness_port.h"

#include <corvus/supervisor_stubs.h>

#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define PAGE 4096

// A name of this test's own, in a static buffer of which there are eight.
static const char *path_of(const char *name)
{
    static char paths[8][64];
    static unsigned next;
    char *path = paths[next++ % 8];
    if (access("/dsm", F_OK) != 0)
        skip("there is no /dsm");
    snprintf(path, sizeof paths[0], "/dsm/test-%d-%s", (int)getppid(), name);
    return path;
}

static int make(const char *name, off_t size)
{
    const char *path = path_of(name);
    (void)unlink(path);
    int file = SUCCEED(open(path, O_CREAT | O_EXCL | O_RDWR, 0600));
    SUCCEED(ftruncate(file, size));
    return file;
}

static void *map(int file, size_t bytes)
{
    return SUCCEED(mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
}

static struct stat stat_of(const char *path)
{
    struct stat status;
    SUCCEED(stat(path, &status));
    return status;
}

TEST(create, "O_EXCL, O_CREAT and O_TRUNC; owner and mode")
{
    const char *path = path_of("create");
    FAIL_WITH(open(path, O_RDWR), ENOENT);
    umask(022);
    int file = SUCCEED(open(path, O_CREAT | O_EXCL | O_RDWR, 0666));
    FAIL_WITH(open(path, O_CREAT | O_EXCL | O_RDWR, 0666), EEXIST);
    struct stat status = stat_of(path);
    REQUIRE_EQUAL(status.st_mode, S_IFREG | 0644);
    REQUIRE_EQUAL(status.st_uid, getuid());
    REQUIRE_EQUAL(status.st_size, 0);
    REQUIRE_EQUAL(status.st_nlink, 1);
    write_all(file, "hello", 5);
    SUCCEED(close(file));
    file = SUCCEED(open(path, O_CREAT | O_RDWR, 0600));
    char text[6] = "";
    read_all(file, text, 5);
    REQUIRE(strcmp(text, "hello") == 0);
    SUCCEED(close(file));
    SUCCEED(close(SUCCEED(open(path, O_RDWR | O_TRUNC))));
    REQUIRE_EQUAL(stat_of(path).st_size, 0);
    SUCCEED(chmod(path, 0640));
    SUCCEED(chown(path, 5, 6));
    status = stat_of(path);
    REQUIRE(status.st_mode == (S_IFREG | 0640) && status.st_uid == 5 && status.st_gid == 6);
    SUCCEED(unlink(path));
    FAIL_WITH(stat(path, &status), ENOENT);
    FAIL_WITH(unlink(path), ENOENT);
}

TEST(names, "link, rename, names that are none")
{
    const char *one = path_of("one"), *two = path_of("two");
    SUCCEED(close(make("one", 10)));
    SUCCEED(close(make("two", 20)));
    ino_t inode = stat_of(one).st_ino;
    FAIL_WITH(link(one, two), EEXIST);
    SUCCEED(link(one, path_of("three")));
    REQUIRE_EQUAL(stat_of(one).st_nlink, 2);
    FAIL_WITH(renameat2(AT_FDCWD, one, AT_FDCWD, two, RENAME_NOREPLACE), EEXIST);
    SUCCEED(renameat2(AT_FDCWD, one, AT_FDCWD, two, RENAME_EXCHANGE));
    REQUIRE_EQUAL(stat_of(two).st_ino, inode);
    REQUIRE_EQUAL(stat_of(one).st_size, 20);
    SUCCEED(rename(two, one));
    REQUIRE_EQUAL(stat_of(one).st_ino, inode);
    FAIL_WITH(access(two, F_OK), ENOENT);
    SUCCEED(unlink(path_of("three")));
    REQUIRE_EQUAL(stat_of(one).st_nlink, 1);
    SUCCEED(unlink(one));
    FAIL_WITH(rename(one, two), ENOENT);
    char name[300] = "/dsm/";
    memset(name + 5, 'x', 256);
    FAIL_WITH(open(name, O_CREAT | O_RDWR, 0600), ENAMETOOLONG);
    name[5 + 255] = '\0';
    SUCCEED(close(SUCCEED(open(name, O_CREAT | O_RDWR, 0600))));
    SUCCEED(unlink(name));
    FAIL_WITH(mkdir(path_of("folder"), 0700), EPERM);
    FAIL_WITH(symlink("x", path_of("link")), EPERM);
    FAIL_WITH(rename("/dsm", "/dsm2"), EBUSY);
}

static volatile char *beyond;

static void touches(void *unused)
{
    (void)unused;
    *beyond = 1;
}

TEST(mapped, "shared memory of two processes; unlinked, it lives on; beyond its end is SIGBUS")
{
    int file = make("mapped", 3 * PAGE);
    volatile uint64_t *words = map(file, 4 * PAGE);
    volatile uint64_t *others = map(SUCCEED(open(path_of("mapped"), O_RDWR)), 3 * PAGE);
    REQUIRE_EQUAL(words[512], 0);
    pid_t pid = fork();
    if (pid == 0) {
        words[512] = 7;
        _exit(0);
    }
    EXITS(pid, 0);
    REQUIRE_EQUAL(others[512], 7);
    SUCCEED(unlink(path_of("mapped")));
    others[1024] = 8;
    REQUIRE_EQUAL(words[1024], 8);
    struct stat status;
    SUCCEED(fstat(file, &status));
    REQUIRE_EQUAL(status.st_nlink, 0);
    REQUIRE_EQUAL(status.st_size, 3 * PAGE);
    beyond = (volatile char *)words + 3 * PAGE;
    KILLED(child(touches, NULL), SIGBUS);
    SUCCEED(ftruncate(file, PAGE));
    beyond = (volatile char *)words + PAGE;
    KILLED(child(touches, NULL), SIGBUS);
    SUCCEED(ftruncate(file, 2 * PAGE));
    REQUIRE_EQUAL(words[512], 0); // what was cut off is gone
}

TEST(transfer, "read, write, append, seek; a file grows as it is written")
{
    int file = make("transfer", 0);
    static char bytes[10000], back[10000];
    fill_pattern(bytes, sizeof bytes, 1);
    write_all(file, bytes, sizeof bytes);
    REQUIRE_EQUAL(pread(file, back, sizeof back, 0), sizeof back);
    REQUIRE(memcmp(bytes, back, sizeof back) == 0);
    REQUIRE_EQUAL(SUCCEED(lseek(file, 0, SEEK_END)), 10000);
    REQUIRE_EQUAL(pread(file, back, 10, 10000), 0);
    int other = SUCCEED(open(path_of("transfer"), O_WRONLY | O_APPEND));
    write_all(other, "end", 3);
    REQUIRE_EQUAL(pread(file, back, 10, 10000), 3);
    REQUIRE_EQUAL(pwrite(file, "far", 3, 100000), 3);
    REQUIRE_EQUAL(pread(file, back, 10, 50000), 10);
    REQUIRE_EQUAL(back[3], 0);
    REQUIRE_EQUAL(stat_of(path_of("transfer")).st_size, 100003);
    ZERO(posix_fallocate(file, 0, 200000));
    REQUIRE_EQUAL(stat_of(path_of("transfer")).st_size, 200000);
    FAIL_WITH(ftruncate(file, 1ll << 41), EFBIG);
    FAIL_WITH(pwrite(file, "x", 1, 1ll << 40), EFBIG);
    SUCCEED(fsync(file));
    SUCCEED(unlink(path_of("transfer")));
}

TEST_WITHIN(list, "a folder of 300 names, some of which go while it is read", 60)
{
    char name[64], seen[300] = {0};
    const char *prefix = path_of("list");
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "%s-%d", prefix, i);
        SUCCEED(close(SUCCEED(open(name, O_CREAT | O_EXCL | O_RDWR, 0600))));
    }
    DIR *folder = opendir("/dsm");
    REQUIRE(folder != NULL);
    const char *file = strrchr(prefix, '/') + 1;
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, file, strlen(file)) != 0)
            continue;
        int number = atoi(entry->d_name + strlen(file) + 1);
        REQUIRE(number >= 0 && number < 300 && seen[number] == 0);
        REQUIRE_EQUAL(entry->d_type, DT_REG);
        seen[number] = 1;
        snprintf(name, sizeof name, "%s-%d", prefix, number);
        SUCCEED(unlink(name));
    }
    for (int i = 0; i < 300; i++)
        REQUIRE_EQUAL(seen[i], 1);
    rewinddir(folder);
    while ((entry = readdir(folder)) != NULL)
        REQUIRE(strncmp(entry->d_name, file, strlen(file)) != 0);
    closedir(folder);
}

static void is_refused(void *path)
{
    SUCCEED(setgid(1000));
    SUCCEED(setuid(1000));
    FAIL_WITH(open(path, O_RDONLY), EACCES);
    FAIL_WITH(chmod(path, 0666), EPERM);
    FAIL_WITH(unlink(path), EPERM); // the folder is sticky
    const char *own = path_of("own");
    SUCCEED(close(SUCCEED(open(own, O_CREAT | O_EXCL | O_RDWR, 0600))));
    REQUIRE_EQUAL(stat_of(own).st_uid, 1000);
    SUCCEED(unlink(own));
}

TEST(others, "who may not, may not")
{
    const char *path = path_of("others");
    SUCCEED(close(make("others", 1)));
    EXITS(child(is_refused, (void *)path), 0);
    SUCCEED(unlink(path));
}

static sem_t *semaphore;

static void posts(void *unused)
{
    (void)unused;
    SUCCEED(sem_post(semaphore));
}

TEST(posix, "shm_open and sem_open of a program that has /dsm in the place of /dev/shm")
{
    path_of(""); // or there is nothing to test
    SUCCEED(unshare(CLONE_NEWNS));
    SUCCEED(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    SUCCEED(mount("/dsm", "/dev/shm", NULL, MS_BIND, NULL));
    char name[64];
    snprintf(name, sizeof name, "/test-%d", (int)getpid());
    int file = SUCCEED(shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600));
    SUCCEED(ftruncate(file, PAGE));
    strcpy(map(file, PAGE), "seen");
    REQUIRE(strcmp(map(SUCCEED(shm_open(name, O_RDWR, 0)), PAGE), "seen") == 0);
    SUCCEED(shm_unlink(name));
    FAIL_WITH(shm_open(name, O_RDWR, 0), ENOENT);
    semaphore = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
    REQUIRE(semaphore != SEM_FAILED);
    REQUIRE(sem_open(name, O_CREAT | O_EXCL, 0600, 1) == SEM_FAILED && errno == EEXIST);
    SUCCEED(sem_wait(semaphore));
    FAIL_WITH(sem_trywait(semaphore), EAGAIN);
    EXITS(child(posts, NULL), 0);
    SUCCEED(sem_wait(semaphore));
    SUCCEED(sem_close(semaphore));
    SUCCEED(sem_unlink(name));
}

TEST(mount, "mount without a server's name, with a wrong one, and of a server that there is not")
{
    path_of("");
    SUCCEED(mkdir("m", 0700));
    FAIL_WITH(mount("none", "m", "memobj", 0, NULL), EINVAL);
    FAIL_WITH(mount("none", "m", "memobj", 0, "server="), EINVAL);
    FAIL_WITH(mount("none", "m", "memobj", 0, "server=123456789012345678901234567890123"), EINVAL);
    FAIL_WITH(mount("none", "m", "memobj", 0, "server=x,mode=77777"), EINVAL);
    SUCCEED(mount("none", "m", "memobj", 0, "server=nobody,mode=0700"));
    REQUIRE_EQUAL(stat_of("m").st_mode, S_IFDIR | 0700);
    FAIL_WITH(open("m/x", O_RDONLY), EIO);
    FAIL_WITH(open("m/x", O_CREAT | O_RDWR, 0600), EIO);
    struct statfs about;
    SUCCEED(statfs("m", &about));
    SUCCEED(umount("m"));
}

static volatile uint64_t *held;

static void reads_held(void *unused)
{
    (void)unused;
    (void)*held;
}

TEST_WITHIN(restarts,
            "the server of the segments ends: SIGBUS; it comes back: files can be made again", 60)
{
    uint64_t name[4];
    int file = make("restarts", PAGE), tries = 0;
    held = map(file, PAGE);
    *held = 1;
    REQUIRE(corvus_name_words("dsm", name));
    ZERO(supervisor_end_server(NAME_BOOTSTRAP, name[0], name[1], name[2], name[3]));
    sleep_ms(200);
    KILLED(child(reads_held, NULL), SIGBUS);
    char byte;
    FAIL_WITH(pread(file, &byte, 1, 0), EIO);
    (void)path_of("again");
    while ((file = open(path_of("again"), O_CREAT | O_RDWR, 0600)) < 0 && tries++ < 200)
        sleep_ms(100);
    REQUIRE(file >= 0);
    SUCCEED(ftruncate(file, PAGE));
    held = map(file, PAGE);
    *held = 2;
    SUCCEED(unlink(path_of("again")));
}
