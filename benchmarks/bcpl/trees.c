#include <stdlib.h>

#include "kernel.h"
struct node { struct node *left, *right; };
__attribute__((noinline)) static struct node *make(int64_t depth) {
    struct node *node = malloc(sizeof *node);
    node->left = depth == 0 ? NULL : make(depth - 1);
    node->right = depth == 0 ? NULL : make(depth - 1);
    return node;
}
__attribute__((noinline)) static int64_t check(const struct node *tree) {
    return tree->left == NULL ? 1 : 1 + check(tree->left) + check(tree->right);
}
__attribute__((noinline)) static void drop(struct node *tree) {
    if (tree->left != NULL) {
        drop(tree->left);
        drop(tree->right);
    }
    free(tree);
}
int main(void) {
    int64_t total = 0;
    for (int64_t i = 1; i <= 40 * UNITS; i++) {
        struct node *tree = make(8);
        total += check(tree);
        drop(tree);
    }
    return put(total);
}
