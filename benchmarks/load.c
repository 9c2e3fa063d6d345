/*
 * Thousands of readers of a streaming server, and the one who publishes what they read.
 *
 *     load --port N --redis-port N --transport ws|sse --path TEXT --channel TEXT --message FILE
 *          [--first N] [--pending N] [--sources N] [--patience SECONDS]
 *
 * It takes commands on standard input, one a line, and answers each with one line of JSON:
 *
 *     open N              N more readers, at most --pending of them on their way at any time
 *     churn N             the N readers that are there longest leave, and come again
 *     events N WINDOW     N events, of which at most WINDOW are on their way: a closed loop
 *     pace N RATE         N events, RATE in a second, whatever becomes of them: an open loop
 *
 * and ends with its input. Between commands it goes on reading, and answers pings.
 *
 * A %d in --path stands for the number of a reader, the first of which is --first. If there is one
 * in --channel too, every event is for one reader, in turn; otherwise it is for all of them.
 * Readers come from --sources addresses, 127.0.0.2 and on, so that no address runs out of ports.
 * A command gives up once nothing has come for --patience seconds, and says how much is missing.
 *
 * --message names a file with what is published. It contains a stamp: a tilde and 16 zeros. Each
 * event has the time of its publication there, in hexadecimal, and by that every delivery is
 * recognised and timed. There must be no other tilde that hexadecimal digits follow.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define STAMP '~'
#define DIGITS 16
#define STATUS_LINE 12 /* as far as the number: HTTP/1.1 101 */
#define SECOND 1000000000ull

static struct {
    int port, redis_port, first, pending, sources;
    double patience;
    bool websocket;
    const char *path, *channel, *message;
} options = {.first = 1, .pending = 128, .sources = 8, .patience = 20};

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

/* ---- times: a histogram whose steps are a 64th of their value, so that it never grows ---- */

#define STEPS 64
static long times[64 * STEPS], count;
static uint64_t longest;

static void forget_times(void)
{
    memset(times, 0, sizeof times);
    longest = count = 0;
}

static void remember_time(uint64_t time)
{
    int power = time < STEPS ? 0 : 63 - __builtin_clzll(time) - 6 + 1;
    times[power * STEPS + (power ? (time >> (power - 1)) - STEPS : time)]++;
    longest = time > longest ? time : longest;
    count++;
}

/* In milliseconds: the time within which this part of all has come. */
static double quantile(double part)
{
    long wanted = part * count, seen = 0;
    for (int i = 0; i < 64 * STEPS; i++)
        if ((seen += times[i]) > wanted) {
            int power = i / STEPS;
            uint64_t low = power ? (uint64_t)(i % STEPS + STEPS) << (power - 1) : (uint64_t)i;
            return (low < longest ? low : longest) / 1e6;
        }
    return longest / 1e6;
}

/* ---- readers ---- */

struct reader {
    int fd;
    enum { AWAY, CONNECTING, ASKING, READING } stage;
    unsigned char begun;   /* bytes of the status line or of a frame's header that have come */
    unsigned char matched; /* characters of the head's end, or of a stamp, that have come */
    unsigned char start[STATUS_LINE];
    uint64_t left;  /* bytes of the frame that are still to come */
    uint64_t stamp; /* what has been read of it; before that, when the reader set out */
    unsigned char ping[125];
};

static struct reader *readers;
static int made, most; /* how many readers there have been, and may be */
static long reading, refused, dropped;
static long delivered;
static int poller, redis;
enum { REDIS = -1, COMMANDS = -2 };

static void watch(int fd, int who, uint32_t events, int how)
{
    struct epoll_event event = {.events = events, .data.fd = who};
    if (epoll_ctl(poller, how, fd, &event))
        die("epoll_ctl");
}

static void set_out(int who)
{
    struct reader *reader = &readers[who];
    struct sockaddr_in source = {.sin_family = AF_INET};
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(options.port)};
    int yes = 1;
    *reader = (struct reader){.stage = CONNECTING, .stamp = now()};
    reader->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (reader->fd < 0)
        die("socket");
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + who % options.sources);
    setsockopt(reader->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (bind(reader->fd, (struct sockaddr *)&source, sizeof source))
        die("bind");
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(reader->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS)
        die("connect");
    watch(reader->fd, who, EPOLLOUT, EPOLL_CTL_ADD);
}

static void leave(struct reader *reader)
{
    reading -= reader->stage == READING;
    reader->stage = AWAY;
    close(reader->fd);
}

static void fail(int who, const char *why)
{
    struct reader *reader = &readers[who];
    if (refused + dropped < 3)
        fprintf(stderr, "reader %d: %s\n", options.first + who, why);
    if (reader->stage == READING)
        dropped++;
    else
        refused++;
    leave(reader);
}

/* Substitute a number for %d, if there is one. */
static void number(char *text, size_t size, const char *template, int value)
{
    const char *place = strstr(template, "%d");
    if (place)
        snprintf(text, size, "%.*s%d%s", (int)(place - template), template, value, place + 2);
    else
        snprintf(text, size, "%s", template);
}

static void ask(int who)
{
    static const char *upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                                 "Sec-WebSocket-Version: 13\r\n"
                                 "Sec-WebSocket-Key: bG9hZCBsb2FkIGxvYWQgbA==\r\n";
    char path[1024], request[2048];
    number(path, sizeof path, options.path, options.first + who);
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                        path, options.websocket ? upgrade : "Accept: text/event-stream\r\n");
    if (send(readers[who].fd, request, size, MSG_NOSIGNAL) != size) {
        fail(who, "cannot send its request");
        return;
    }
    readers[who].stage = ASKING;
    watch(readers[who].fd, who, EPOLLIN, EPOLL_CTL_MOD);
}

/* Read the head of a response; return where it ends. */
static const char *read_head(int who, const char *at, const char *end)
{
    struct reader *reader = &readers[who];
    while (at < end && reader->matched < 4) {
        if (reader->begun < STATUS_LINE)
            reader->start[reader->begun++] = *at;
        reader->matched = *at == "\r\n\r\n"[reader->matched] ? reader->matched + 1 : *at == '\r';
        at++;
    }
    if (reader->matched < 4)
        return at;
    if (memcmp(reader->start + STATUS_LINE - 3, options.websocket ? "101" : "200", 3)) {
        char why[64];
        snprintf(why, sizeof why, "refused: %.*s", STATUS_LINE, (char *)reader->start);
        fail(who, why);
        return end;
    }
    remember_time(now() - reader->stamp);
    reader->stage = READING;
    reader->begun = reader->matched = 0;
    reading++;
    return at;
}

static int hexadecimal(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Find the stamps in what has come. One may be cut anywhere: the reader knows how far it got. */
static void find_stamps(struct reader *reader, const char *at, const char *end, uint64_t time)
{
    while (at < end) {
        if (!reader->matched) {
            if (!(at = memchr(at, STAMP, end - at)))
                return;
            at++;
            reader->matched = 1;
            reader->stamp = 0;
            continue;
        }
        int digit = hexadecimal(*at);
        if (digit < 0) {
            reader->matched = 0;
            continue;
        }
        at++;
        reader->stamp = reader->stamp << 4 | digit;
        if (reader->matched++ == DIGITS) {
            reader->matched = 0;
            remember_time(time - reader->stamp);
            delivered++;
        }
    }
}

/* ---- WebSocket: a server's frames are not masked, a client's are, if only with zeros ---- */

enum { PING = 0x9, PONG = 0xa };

static int header_size(const struct reader *reader)
{
    int length = reader->begun < 2 ? 0 : reader->start[1] & 127;
    return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0);
}

static uint64_t payload_size(const struct reader *reader)
{
    int size = header_size(reader);
    uint64_t length = 0;
    if (size == 2)
        return reader->start[1] & 127;
    for (int i = 2; i < size; i++)
        length = length << 8 | reader->start[i];
    return length;
}

static void pong(struct reader *reader)
{
    unsigned char frame[6 + 125] = {0x80 | PONG, 0x80 | reader->start[1]};
    int size = reader->start[1] & 127;
    memcpy(frame + 6, reader->ping, size);
    /* If there is no room for it, the server has other worries. */
    if (send(reader->fd, frame, 6 + size, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        perror("pong");
}

/* Take as much of a frame's payload as has come; return where that ends. */
static const char *read_payload(struct reader *reader, const char *at, const char *end,
                                uint64_t time)
{
    uint64_t size = (uint64_t)(end - at) < reader->left ? (uint64_t)(end - at) : reader->left;
    int kind = reader->start[0] & 15;
    if (kind < 8)
        find_stamps(reader, at, at + size, time);
    else if (kind == PING && (reader->start[1] & 127) <= sizeof reader->ping)
        memcpy(reader->ping + (reader->start[1] & 127) - reader->left, at, size);
    reader->left -= size;
    return at + size;
}

static void read_frames(struct reader *reader, const char *at, const char *end, uint64_t time)
{
    while (at < end) {
        if (!reader->left) {
            reader->start[reader->begun++] = *at++;
            if (reader->begun < header_size(reader))
                continue;
            reader->left = payload_size(reader);
        } else {
            at = read_payload(reader, at, end, time);
        }
        if (!reader->left) {
            if ((reader->start[0] & 15) == PING)
                pong(reader);
            reader->begun = 0;
        }
    }
}

static void receive(int who)
{
    static char buffer[1 << 18];
    struct reader *reader = &readers[who];
    ssize_t size = recv(reader->fd, buffer, sizeof buffer, 0);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0) {
        fail(who, "the server has closed");
        return;
    }
    uint64_t time = now();
    const char *at = buffer, *end = buffer + size;
    if (reader->stage == ASKING)
        at = read_head(who, at, end);
    if (reader->stage == READING && options.websocket)
        read_frames(reader, at, end, time);
    else if (reader->stage == READING)
        find_stamps(reader, at, end, time);
}

/* ---- the publisher ---- */

static char *message, *stamp;
static size_t message_size;

static void read_message(void)
{
    FILE *file = fopen(options.message, "r");
    message = calloc(1, 1 << 20);
    if (!file || !(message_size = fread(message, 1, (1 << 20) - 1, file)))
        die(options.message);
    fclose(file);
    stamp = strstr(message, "~0000000000000000");
    if (!stamp) {
        fprintf(stderr, "%s: a tilde and 16 zeros are missing\n", options.message);
        exit(2);
    }
}

static void join_redis(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options.redis_port)};
    int yes = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    redis = socket(AF_INET, SOCK_STREAM, 0);
    if (redis < 0 || connect(redis, (struct sockaddr *)&address, sizeof address))
        die("Redis");
    setsockopt(redis, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    watch(redis, REDIS, EPOLLIN, EPOLL_CTL_ADD);
}

static void publish(long event)
{
    char channel[256], head[384], digits[DIGITS + 1];
    number(channel, sizeof channel, options.channel, options.first + event % made);
    int size = snprintf(head, sizeof head, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%zu\r\n",
                        strlen(channel), channel, message_size);
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)now());
    memcpy(stamp + 1, digits, DIGITS);
    struct iovec parts[] = {{head, size}, {message, message_size}, {"\r\n", 2}};
    /* This waits if there is no room; Redis waits for nobody, so it cannot wait for long. */
    if (writev(redis, parts, 3) != (ssize_t)(size + message_size + 2))
        die("publishing");
}

static void drain_redis(void)
{
    char replies[4096];
    ssize_t size = recv(redis, replies, sizeof replies, MSG_DONTWAIT);
    if (size == 0 || (size > 0 && replies[0] == '-')) {
        fprintf(stderr, "Redis says: %.*s\n", (int)size, replies);
        exit(2);
    }
}

/* ---- commands ---- */

/* Let whatever has come be read; tell whether there is a command. */
static bool turn(int milliseconds)
{
    struct epoll_event events[512];
    bool command = false;
    int ready = epoll_wait(poller, events, 512, milliseconds);
    for (int i = 0; i < ready; i++) {
        int who = events[i].data.fd;
        if (who == COMMANDS)
            command = true;
        else if (who == REDIS)
            drain_redis();
        else if (readers[who].stage == CONNECTING)
            ask(who);
        else if (readers[who].stage != AWAY)
            receive(who);
    }
    return command;
}

static double cpu_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

/* What is the same in every answer. */
static void answer(uint64_t began, uint64_t ended, double cpu)
{
    printf("\"reading\":%ld,\"refused\":%ld,\"dropped\":%ld,\"seconds\":%.6f,\"client_cpu\":%.6f,"
           "\"ms\":{\"p50\":%.3f,\"p95\":%.3f,\"p99\":%.3f,\"max\":%.3f}}\n",
           reading, refused, dropped, (double)(ended - began) / SECOND, cpu_seconds() - cpu,
           quantile(.5), quantile(.95), quantile(.99), longest / 1e6);
    fflush(stdout);
}

static bool is_silent(uint64_t since)
{
    return now() - since > options.patience * SECOND;
}

/* Bring the readers of these numbers in; answer when each is there or has been refused. */
static void bring(const char *command, int from, int to)
{
    uint64_t began = now(), last = began;
    double cpu = cpu_seconds();
    long before = refused, settled = 0, sent = 0;
    forget_times();
    while (settled < to - from && !is_silent(last)) {
        while (sent < to - from && sent - settled < options.pending)
            set_out(from + sent++);
        turn(100);
        last = count + refused - before > settled ? now() : last;
        settled = count + refused - before;
    }
    printf("{\"command\":\"%s\",\"wanted\":%d,\"came\":%ld,", command, to - from, count);
    answer(began, last, cpu);
}

static void open_readers(int wanted)
{
    int from = made;
    made = from + wanted < most ? from + wanted : most;
    bring("open", from, made);
}

static void churn(int wanted)
{
    static int oldest;
    if (oldest + wanted > made)
        oldest = 0;
    int from = oldest, to = from + wanted < made ? from + wanted : made;
    oldest = to;
    for (int who = from; who < to; who++)
        if (readers[who].stage != AWAY)
            leave(&readers[who]);
    bring("churn", from, to);
}

/* How many more events may be published now. */
static long due(long sent, long all, long each, long window, double rate, uint64_t began)
{
    long allowed = rate > 0 ? (now() - began) * rate / SECOND + 1 : delivered / each + window;
    return (allowed < all ? allowed : all) - sent;
}

static void events(const char *command, long all, long window, double rate)
{
    long each = strstr(options.channel, "%d") ? 1 : reading, sent = 0, seen = 0;
    uint64_t began = now(), last = began;
    double cpu = cpu_seconds();
    delivered = 0;
    forget_times();
    while (delivered < all * each && !is_silent(last)) {
        for (long more = due(sent, all, each, window, rate, began); more > 0; more--)
            publish(sent++);
        turn(rate > 0 ? 1 : 20);
        last = delivered > seen ? now() : last;
        seen = delivered;
    }
    printf("{\"command\":\"%s\",\"wanted\":%ld,\"came\":%ld,\"events\":%ld,", command, all * each,
           delivered, sent);
    answer(began, last, cpu);
}

static bool obey(void)
{
    char line[256];
    long size;
    double other = 0;
    ssize_t length = read(STDIN_FILENO, line, sizeof line - 1);
    if (length <= 0)
        return false;
    line[length] = 0;
    if (sscanf(line, "open %ld", &size) == 1)
        open_readers(size);
    else if (made && sscanf(line, "churn %ld", &size) == 1)
        churn(size);
    else if (made && sscanf(line, "events %ld %lf", &size, &other) == 2)
        events("events", size, other, 0);
    else if (made && sscanf(line, "pace %ld %lf", &size, &other) == 2)
        events("pace", size, 0, other);
    else {
        fprintf(stderr, "not a command: %s", line);
        exit(2);
    }
    return true;
}

/* ---- the command line ---- */

static const struct option LONG[] = {
    {"port", 1, 0, 'p'},    {"redis-port", 1, 0, 'r'}, {"transport", 1, 0, 't'},
    {"path", 1, 0, 'a'},    {"channel", 1, 0, 'c'},    {"message", 1, 0, 'm'},
    {"first", 1, 0, 'f'},   {"pending", 1, 0, 'n'},    {"sources", 1, 0, 's'},
    {"patience", 1, 0, 'w'}, {0},
};

static void read_options(int count, char **words)
{
    for (int option; (option = getopt_long(count, words, "", LONG, NULL)) != -1;)
        switch (option) {
        case 'p': options.port = atoi(optarg); break;
        case 'r': options.redis_port = atoi(optarg); break;
        case 't': options.websocket = !strcmp(optarg, "ws"); break;
        case 'a': options.path = optarg; break;
        case 'c': options.channel = optarg; break;
        case 'm': options.message = optarg; break;
        case 'f': options.first = atoi(optarg); break;
        case 'n': options.pending = atoi(optarg); break;
        case 's': options.sources = atoi(optarg); break;
        case 'w': options.patience = atof(optarg); break;
        default: exit(2);
        }
    if (!options.port || !options.redis_port || !options.path || !options.channel
        || !options.message || options.pending < 1 || options.sources < 1) {
        fprintf(stderr, "usage: see the head of load.c\n");
        exit(2);
    }
}

int main(int count, char **words)
{
    struct rlimit files;
    read_options(count, words);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    most = files.rlim_max < 1000000 ? files.rlim_max - 16 : 1000000;
    readers = calloc(most, sizeof *readers);
    poller = epoll_create1(0);
    if (!readers || poller < 0)
        die("starting");
    read_message();
    join_redis();
    watch(STDIN_FILENO, COMMANDS, EPOLLIN, EPOLL_CTL_ADD);
    while (!turn(-1) || obey())
        continue;
    return 0;
}
