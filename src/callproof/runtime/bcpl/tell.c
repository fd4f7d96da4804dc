/* Lines on standard error without C's printf, which is larger than most programs. */
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "bcpl.h"

/* The text with strings for %s and words for %d, behind what the program has printed. */
void bcpl_tell(const char *format, ...) {
    char line[512], digits[24];
    size_t used = 0;
    va_list arguments;
    va_start(arguments, format);
    for (; *format != 0; format++) {
        const char *part = format;
        size_t size = 1;
        if (*format == '%') {
            if (*++format == 's') {
                part = va_arg(arguments, const char *);
            } else {
                word value = va_arg(arguments, word);
                uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
                char *digit = digits + sizeof digits - 1;
                *digit = 0;
                do
                    *--digit = (char)('0' + rest % 10);
                while ((rest /= 10) != 0);
                if (value < 0) *--digit = '-';
                part = digit;
            }
            size = strlen(part);
        }
        if (size > sizeof line - used) size = sizeof line - used;
        memcpy(line + used, part, size);
        used += size;
    }
    va_end(arguments);
    bcpl_flush();
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written; /* there is nobody to be told */
}
