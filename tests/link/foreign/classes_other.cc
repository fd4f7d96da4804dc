#include "classes.h"

struct Line : Shape {
    int length;
    explicit Line(int n) : length(n) {}
    int area() const override { return largest(length, 1) / 2; }
};
Shape *other_shape(int n) { return new Line(n); }
int other_counter() { return 100 * counter(); }
int (*counter_of_other())() { return counter; }
int *address_of_shared() { return &shared_value; }
