/* Natives that ask the system: time, environment, files, the end of the program. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "runtime.h"

DEFINE_NATIVE(clock) { return number_value((double)clock() / CLOCKS_PER_SEC); }

static void sleep_for(double seconds) {
    enum { LONGEST = 1 << 30 };
    if (seconds != seconds) return;
    if (seconds > LONGEST) seconds = LONGEST;
    flush_output();
    struct timespec left = {.tv_sec = (time_t)seconds};
    left.tv_nsec = (long)((seconds - floor(seconds)) * 1e9);
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

DEFINE_NATIVE(usleep) {
    if (count != 1 || a->tag != NUMBER) return number_value(-1);
    double seconds = to_number(*a) / 1e6;
    if (seconds > 0) sleep_for(seconds);
    return number_value(0);
}

DEFINE_NATIVE(sysSleep) {
    need(count == 1, "sysSleep(): requires 1 parameter");
    need(a->tag == NUMBER, "sysSleep(): parameter must be a number");
    need(!(to_number(*a) < 0), "sysSleep(): sleep time cannot be negative");
    sleep_for(to_number(*a));
    return nil_value();
}

DEFINE_NATIVE(sysArgs) {
    need(count == 0, "sysArgs(): takes no parameters");
    return sox_argument_values();
}

/* The bytes of a string ended by 0, for the system; NULL if there is a 0 among them. */
static const char *c_string(value v) {
    const struct string *string = to_string(v);
    char *text = zero_ended(string);
    return strlen(text) == string->length ? text : NULL;
}

DEFINE_NATIVE(sysGetenv) {
    need(count == 1, "sysGetenv(): requires 1 parameter");
    need(a->tag == STRING, "sysGetenv(): parameter must be a string");
    const char *name = c_string(*a);
    const char *found = name != NULL ? getenv(name) : NULL;
    return found != NULL ? c_string_value(found) : nil_value();
}

DEFINE_NATIVE(sysOnExit) {
    need(count == 1, "sysOnExit(): requires 1 parameter (function)");
    need(a->tag == CLOSURE, "sysOnExit(): parameter must be a function");
    sox_defer(&exit_handlers, *a);
    return nil_value();
}

DEFINE_NATIVE(sysExit) {
    need(count <= 1, "sysExit(): takes 0 or 1 parameters");
    if (count == 0) sox_exit(0);
    need(a->tag == NUMBER, "sysExit(): exit code must be a number");
    double code = fmod(trunc(to_number(*a)), 256);
    sox_exit(code == code ? (int)code & 0xFF : 0);
}

DEFINE_NATIVE(sysPlatform) {
    need(count == 0, "sysPlatform(): takes no parameters");
    return c_string_value("linux");
}

/* The whole file as a string; nil if it cannot be read. */
DEFINE_NATIVE(fileRead) {
    need(count == 1, "fileRead(): requires 1 parameter");
    need(a->tag == STRING, "fileRead(): parameter must be a string");
    const char *path = c_string(*a);
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;
    if (file == NULL) return nil_value();
    char part[4096];
    size_t got;
    const struct string *content = &sox_empty;
    while ((got = fread(part, 1, sizeof part, file)) > 0) {
        struct text pieces[] = {{content->bytes, content->length}, {part, got}};
        content = join(content, content->length + got, 2, pieces);
    }
    int failed = ferror(file);
    fclose(file);
    return failed ? nil_value() : object_value(STRING, content);
}

/* Whether all of it could be written. */
DEFINE_NATIVE(fileWrite) {
    need(count == 2, "fileWrite(): requires 2 parameters");
    need(a[0].tag == STRING && a[1].tag == STRING,
         "fileWrite(): both parameters must be strings");
    const char *path = c_string(a[0]);
    const struct string *content = to_string(a[1]);
    FILE *file = path != NULL ? fopen(path, "wb") : NULL;
    if (file == NULL) return bool_value(0);
    size_t written = fwrite(content->bytes, 1, content->length, file);
    int closed = fclose(file) == 0;
    return bool_value(written == content->length && closed);
}
