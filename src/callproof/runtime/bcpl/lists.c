/* Lists (reference, section 9): a header, and nodes that several headers may share. */
#include <string.h>

#include "bcpl.h"

list *bcpl_list(void) { return bcpl_allocate(sizeof(list)); }

static void add(list *to, int32_t tag, word value) {
    node *fresh = bcpl_allocate(sizeof *fresh);
    fresh->tag = tag;
    fresh->value = value;
    if (to->tail == NULL)
        to->head = fresh;
    else
        to->tail->next = fresh;
    to->tail = fresh;
    to->length++;
}

/* The first `count` atoms behind a node, as nodes of their own. */
static void add_all(list *to, const node *from, word count) {
    for (; count > 0; count--, from = from->next) add(to, from->tag, from->value);
}

/* APND: in place; also gives the list. */
list *bcpl_append(list *to, word tag, word value) {
    if (to == NULL) to = bcpl_list();
    if (to->is_static)
        bcpl_fatal(PROGRAM_ERROR, "a MANIFESTLIST cannot be appended to", 0, NULL);
    if (to->tail != NULL && to->tail->next != NULL) {
        /* TL shares nodes, and another list went on behind our last one: part from it. */
        list copy = {0};
        add_all(&copy, to->head, to->length);
        *to = copy;
    }
    add(to, (int32_t)tag, value);
    return to;
}

/* A list's first node, or the node itself; NULL of nothing. */
static const node *first(const void *items) {
    const list *header = items;
    if (items == NULL || header->tag != TAG_LIST_HEADER) return items;
    return header->length > 0 ? header->head : NULL;
}

word bcpl_hd(const void *items) {
    const node *atom = first(items);
    return atom != NULL ? atom->value : 0;
}

static double number(const node *atom) {
    double value;
    if (atom == NULL) return 0.0;
    if (atom->tag == TAG_INTEGER) return (double)atom->value;
    memcpy(&value, &atom->value, sizeof value);
    return value;
}

double bcpl_hd_float(const void *items) { return number(first(items)); }

/* TL and REST: a new header; the nodes are shared.  Of a node: what follows it. */
list *bcpl_tl(const void *items) {
    const list *header = items;
    list *rest = bcpl_list();
    if (items == NULL) return rest;
    if (header->tag != TAG_LIST_HEADER) {
        const node *atom = items;
        for (node *next = atom->next; next != NULL; next = next->next) {
            if (rest->head == NULL) rest->head = next;
            rest->tail = next;
            rest->length++;
        }
    } else if (header->length > 1) {
        rest->length = header->length - 1;
        rest->head = header->head->next;
        rest->tail = header->tail;
    }
    return rest;
}

word bcpl_list_length(const void *items) {
    const list *header = items;
    if (items == NULL) return 0;
    if (header->tag == TAG_LIST_HEADER) return header->length;
    word length = 0;
    for (const node *atom = items; atom != NULL; atom = atom->next) length++;
    return length;
}

node *bcpl_nth(const list *items, word index) {
    if (items == NULL || index < 0 || index >= items->length) return NULL;
    node *atom = items->head;
    while (index-- > 0) atom = atom->next;
    return atom;
}

static int equals(const node *atom, word tag, word value) {
    double wanted;
    if (atom->tag != tag) return 0;
    if (tag == TAG_STRING)
        return bcpl_strcmp((const character *)atom->value, (const character *)value) == 0;
    if (tag != TAG_FLOAT) return atom->value == value;
    memcpy(&wanted, &value, sizeof wanted);
    return number(atom) == wanted;
}

/* FIND: the first node with that value, strings by what is in them. */
node *bcpl_find(const list *items, word tag, word value) {
    if (items == NULL) return NULL;
    node *atom = items->head;
    for (word left = items->length; left > 0; left--, atom = atom->next)
        if (equals(atom, tag, value)) return atom;
    return NULL;
}

list *bcpl_concat(const list *a, const list *b) {
    list *both = bcpl_list();
    if (a != NULL) add_all(both, a->head, a->length);
    if (b != NULL) add_all(both, b->head, b->length);
    return both;
}

list *bcpl_copylist(const list *items) { return bcpl_concat(items, NULL); }

static character *copy_text(const character *text) {
    character *copy = bcpl_text(bcpl_strlen(text));
    return bcpl_strcopy(copy, text);
}

/* Strings and lists inside are copied too. */
list *bcpl_deepcopylist(const list *items) {
    list *copy = bcpl_copylist(items);
    node *atom = copy->head;
    for (; atom != NULL; atom = atom->next) {
        if (atom->value == 0) continue;
        if (atom->tag == TAG_STRING)
            atom->value = (word)(intptr_t)copy_text((const character *)atom->value);
        else if (atom->tag == TAG_LIST)
            atom->value = (word)(intptr_t)bcpl_deepcopylist((const list *)atom->value);
    }
    return copy;
}

list *bcpl_reverse(const list *items) {
    list *reversed = bcpl_copylist(items);
    node *before = NULL, *atom = reversed->head;
    reversed->head = reversed->tail;
    reversed->tail = atom;
    while (atom != NULL) {
        node *next = atom->next;
        atom->next = before;
        before = atom;
        atom = next;
    }
    return reversed;
}

/* --- atoms --- */

word bcpl_as_int(const node *atom) {
    if (atom == NULL) return 0;
    return atom->tag == TAG_FLOAT ? (word)number(atom) : atom->value;
}

static word payload(const node *atom, int32_t tag, const char *message) {
    if (atom == NULL) return 0;
    if (atom->tag != tag) bcpl_fatal(PROGRAM_ERROR, message, 0, NULL);
    return atom->value;
}

character *bcpl_as_string(const node *atom) {
    return (character *)payload(atom, TAG_STRING, "AS_STRING of an atom that is no string");
}

list *bcpl_as_list(const node *atom) {
    return (list *)payload(atom, TAG_LIST, "AS_LIST of an atom that is no list");
}

/* --- strings --- */

static void add_text(list *to, const character *from, word length) {
    character *part = bcpl_text(length);
    memcpy(part, from, (size_t)length * sizeof *part);
    add(to, TAG_STRING, (word)(intptr_t)part);
}

/* SPLIT: one part more than there are delimiters; an empty delimiter splits into characters. */
list *bcpl_split(const character *text, const character *delimiter) {
    list *parts = bcpl_list();
    word width = bcpl_strlen(delimiter), length = bcpl_strlen(text), start = 0;
    if (width == 0) {
        for (word i = 0; i < length; i++) add_text(parts, text + i, 1);
        return parts;
    }
    for (word i = 0; i + width <= length;) {
        if (memcmp(text + i, delimiter, (size_t)width * sizeof *text) == 0) {
            add_text(parts, text + start, i - start);
            i += width;
            start = i;
        } else {
            i++;
        }
    }
    add_text(parts, text + start, length - start);
    return parts;
}

/* JOIN: the strings of a list with the delimiter between; atoms of other kinds are left out. */
character *bcpl_join(const list *items, const character *delimiter) {
    list empty = {0};
    word length = 0, width = bcpl_strlen(delimiter);
    if (items == NULL) items = &empty;
    const node *atom = items->head;
    for (word left = items->length; left > 0; left--, atom = atom->next)
        if (atom->tag == TAG_STRING)
            length += bcpl_strlen((const character *)atom->value) + width;
    character *joined = bcpl_text(length > 0 ? length - width : 0);
    character *to = joined;
    int some = 0;
    atom = items->head;
    for (word left = items->length; left > 0; left--, atom = atom->next) {
        if (atom->tag != TAG_STRING) continue;
        for (word i = 0; some && i < width; i++) *to++ = delimiter[i];
        some = 1;
        const character *text = (const character *)atom->value;
        while (text != NULL && *text != 0) *to++ = *text++;
    }
    return joined;
}
