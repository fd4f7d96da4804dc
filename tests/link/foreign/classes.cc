// C++ without exceptions: shared inline functions and templates (COMDAT), virtual calls,
// statics of functions, constructors and destructors of globals.
#include <stdio.h>
#include <stdlib.h>
#include "classes.h"

void *operator new(size_t size) { return malloc(size); }
void operator delete(void *p) noexcept { free(p); }
void operator delete(void *p, size_t) noexcept { free(p); }
extern "C" void __cxa_pure_virtual() { abort(); }

struct Noisy {
    const char *name;
    explicit Noisy(const char *n) : name(n) { printf("begin %s\n", n); }
    ~Noisy() { printf("end %s\n", name); fflush(stdout); }
};
static Noisy global("global");
__attribute__((init_priority(200))) Noisy early("early");

struct Square : Shape {
    int side;
    explicit Square(int s) : side(s) {}
    int area() const override { return side * side; }
};

int main() {
    Shape *shapes[] = {new Square(3), other_shape(4)};
    int sum = 0;
    for (Shape *shape : shapes) { sum += shape->area(); delete shape; }
    printf("%d %d %d\n", sum, largest(3, 9) + (int)largest(2.5, 1.5), counter() + other_counter());
    printf("%d %d\n", &counter == counter_of_other(), &shared_value == address_of_shared());
    return sum;
}
