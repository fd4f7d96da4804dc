struct Shape {
    virtual int area() const = 0;
    virtual ~Shape() {}
};
template <typename T> T largest(T a, T b) { return a < b ? b : a; }
inline int shared_value = 5;
inline int counter() {
    static int count = shared_value;
    return ++count;
}
Shape *other_shape(int n);
int other_counter();
int (*counter_of_other())();
int *address_of_shared();
