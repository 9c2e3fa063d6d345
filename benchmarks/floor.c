/*
 * The least that a fan-out can cost on this machine.
 *
 *     floor PORT REDIS_PORT CHANNEL
 *
 * Whoever connects to PORT of 127.0.0.1 and sends a request becomes a reader: of a WebSocket if the
 * request asks for an upgrade, else of server-sent events. Each message that is published on
 * CHANNEL is sent to every reader by one send() of the message's own bytes. Nothing is parsed,
 * checked, queued or filtered, so what is left is the kernel's work, which no server can avoid
 * unless it sends several events with one call.
 *
 * TCP_NODELAY is set, as streaming servers do. Without it the kernel would put several
 * events into one segment, which costs half as much.
 *
 * A request whose path ends in /health is answered with OK, at once or when the sending is done.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER 10 /* bytes of the longest frame header that a server sends */

static const char UPGRADED[] = "HTTP/1.1 101 Switching Protocols\r\n"
                               "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
static const char STREAMING[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n:)\n";
static const char HEALTHY[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";

/* Readers without gaps, and where each file descriptor is among them: 0 for not at all. */
static struct reader { int fd; bool websocket; } *readers;
static int *place, count, poller;

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static struct sockaddr_in local(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event))
        die("epoll_ctl");
}

static void put(int fd, const char *text, size_t size)
{
    /* Sockets block here: a floor that loses what does not fit would be none. */
    if (send(fd, text, size, MSG_NOSIGNAL) != (ssize_t)size)
        shutdown(fd, SHUT_RDWR);
}

/* Send a message to everybody. There are HEADER bytes in front of it, and 2 after it, to write on. */
static void spread(char *body, size_t size)
{
    char head[HEADER], *frame;
    int length = 2;
    head[0] = (char)0x81;
    if (size < 126) {
        head[1] = size;
    } else {
        length = size < 65536 ? 4 : HEADER;
        head[1] = size < 65536 ? 126 : 127;
        for (int i = 2; i < length; i++)
            head[i] = (size_t)size >> 8 * (length - 1 - i);
    }
    frame = body - length;
    memcpy(frame, head, length);
    memcpy(body + size, "\n\n", 2);
    for (int i = 1; i <= count; i++)
        if (readers[i].websocket)
            put(readers[i].fd, frame, length + size);
        else
            put(readers[i].fd, body, size + 2);
}

/* ---- what Redis says ---- */

struct text { char *at; size_t size; };

/* Pass over one value; return where it ends, or NULL if it is not all there. Note the last text. */
static char *pass(char *at, char *end, struct text *last)
{
    char *line = memmem(at, end - at, "\r\n", 2);
    if (!line)
        return NULL;
    long number = atol(at + 1);
    char kind = *at;
    at = line + 2;
    *last = (struct text){0};
    if (kind == '*')
        while (at && number--)
            at = pass(at, end, last);
    else if (kind == '$') {
        if (end - at < number + 2)
            return NULL;
        *last = (struct text){at, number};
        at += number + 2;
    }
    return at;
}

static void hear(int redis)
{
    static char room[HEADER + (1 << 22)];
    static size_t have;
    char *start = room + HEADER, *at = start, *next;
    struct text last;
    ssize_t size = read(redis, start + have, sizeof room - HEADER - have);
    if (size <= 0)
        exit(0);
    have += size;
    /* A message ends with its body, the answer to SUBSCRIBE with a number. */
    while (at < start + have && (next = pass(at, start + have, &last))) {
        if (last.size)
            spread(last.at, last.size);
        at = next;
    }
    have -= at - start;
    memmove(start, at, have);
}

/* ---- readers ---- */

static void accept_one(int listener)
{
    int yes = 1, fd = accept(listener, NULL, NULL);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    watch(fd);
}

static void forget(int fd)
{
    if (place[fd]) {
        readers[place[fd]] = readers[count--];
        place[readers[place[fd]].fd] = place[fd];
    }
    place[fd] = 0;
    close(fd);
}

static void answer(int fd)
{
    char request[4096];
    ssize_t size = recv(fd, request, sizeof request - 1, 0);
    if (size <= 0) {
        forget(fd);
        return;
    }
    if (place[fd])
        return; /* readers have nothing to say */
    request[size] = 0;
    if (strstr(request, "/health ")) {
        put(fd, HEALTHY, sizeof HEALTHY - 1);
        return;
    }
    bool websocket = strstr(request, "websocket");
    readers[place[fd] = ++count] = (struct reader){fd, websocket};
    if (websocket)
        put(fd, UPGRADED, sizeof UPGRADED - 1);
    else
        put(fd, STREAMING, sizeof STREAMING - 1);
}

/* ---- the start ---- */

static int listen_on(const char *port)
{
    struct sockaddr_in address = local(port);
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096))
        die("listen");
    return listener;
}

static int subscribe(const char *port, const char *channel)
{
    struct sockaddr_in address = local(port);
    int redis = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(redis, (struct sockaddr *)&address, sizeof address))
        die("Redis");
    dprintf(redis, "SUBSCRIBE %s\r\n", channel);
    return redis;
}

int main(int words, char **word)
{
    struct rlimit files;
    if (words != 4) {
        fprintf(stderr, "usage: floor PORT REDIS_PORT CHANNEL\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max < 1000000 ? files.rlim_max : 1000000;
    setrlimit(RLIMIT_NOFILE, &files);
    readers = calloc(files.rlim_cur + 1, sizeof *readers);
    place = calloc(files.rlim_cur, sizeof *place);
    poller = epoll_create1(0);
    if (!readers || !place || poller < 0)
        die("starting");
    int listener = listen_on(word[1]), redis = subscribe(word[2], word[3]);
    watch(listener);
    watch(redis);
    for (;;) {
        struct epoll_event events[256];
        int ready = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < ready; i++)
            if (events[i].data.fd == listener)
                accept_one(listener);
            else if (events[i].data.fd == redis)
                hear(redis);
            else
                answer(events[i].data.fd);
    }
}
