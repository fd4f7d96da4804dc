/* Natives with arguments from the command line. */
#include "compiled.h"

#define NATIVES(each)                                                                          \
    each(Table) each(len) each(push) each(pop) each(type) each(clock) each(usleep)             \
    each(stringUpper) each(stringLower) each(stringTrim) each(stringIndexOf)                   \
    each(stringSubstring) each(stringReplace) each(stringStartsWith) each(stringEndsWith)      \
    each(stringSplit) each(stringEscape) each(stringToNumber) each(mathSqrt) each(mathPow)     \
    each(mathFloor) each(mathCeil) each(mathRound) each(mathSin) each(mathCos) each(mathTan)   \
    each(mathRandom) each(mathRandomInt) each(mathSrand) each(arraySlice) each(arrayReverse)   \
    each(arrayIndexOf) each(arrayContains) each(arrayJoin) each(sysArgs) each(sysGetenv)       \
    each(sysOnExit) each(sysExit) each(sysPlatform) each(sysSleep) each(range) each(tableKeys) \
    each(tableDelete) each(tableHas) each(numberToString) each(fileRead) each(fileWrite)
#define DECLARE(name) extern const struct native sox_native_##name;
#define ROW(name) {#name, &sox_native_##name},
NATIVES(DECLARE)
static const struct {
    const char *name;
    const struct native *native;
} NATIVE_ROWS[] = {NATIVES(ROW)};
enum { NATIVE_COUNT = sizeof NATIVE_ROWS / sizeof *NATIVE_ROWS };

value native_called(const char *name) {
    for (int i = 0; i < NATIVE_COUNT; i++)
        if (strcmp(NATIVE_ROWS[i].name, name) == 0)
            return object_value(NATIVE, NATIVE_ROWS[i].native);
    fprintf(stderr, "no native %s\n", name);
    exit(1);
}

/* nil, true, false, n:1.5, s:text, a:item|item (each of these forms), t:key|key, f, range. */
value parse(const char *word) {
    if (strcmp(word, "nil") == 0) return nil_value();
    if (strcmp(word, "true") == 0) return bool_value(1);
    if (strcmp(word, "false") == 0) return bool_value(0);
    if (strcmp(word, "f") == 0) return closure_of(&BYE);
    if (strcmp(word, "range") == 0) return sox_range(number(0), number(3), number(1));
    if (strncmp(word, "n:", 2) == 0) return number(strtod(word + 2, NULL));
    if (strncmp(word, "s:", 2) == 0) return text(word + 2);
    int is_table = word[0] == 't';
    value result = is_table ? sox_table() : sox_array(0, NULL);
    char part[256];
    for (const char *at = word + 2; *at != 0;) {
        size_t length = strcspn(at, "|");
        memcpy(part, at, length);
        part[length] = 0;
        if (is_table)
            table_set(to_table(result), to_string(text(part)), number(1));
        else
            array_push(to_array(result), parse(part));
        at += length + (at[length] == '|');
    }
    return result;
}

/* native NAME WORD... [, NAME WORD...]...: each result on a line. */
void run_natives(void) {
    int at = 2;
    while (at < argument_count) {
        value native = native_called(argument_values[at++]), words[16];
        uint64_t count = 0;
        while (at < argument_count && strcmp(argument_values[at], ",") != 0)
            words[count++] = parse(argument_values[at++]);
        at++;
        sox_print(sox_call(native, count, words));
        if (count > 0 && words[0].tag == TABLE) sox_print(words[0]);
    }
}
