/* A plugin for qemu's user-mode emulation that counts executed instructions.
 *
 * Each translated block adds its number of instructions to one counter, inline; at the end the
 * total goes to the log as "executed N".  Exact for programs with one thread.  Written against
 * version 1 of the plugins' interface (qemu 4.2 to 8.2); the header is not packaged everywhere,
 * so what is used of it is declared here.
 */
#include <stdint.h>
#include <stdio.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_info_t;
struct qemu_plugin_tb;
enum { ADD_U64 = 0 };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_outs(const char *text);
void qemu_plugin_register_atexit_cb(
    qemu_plugin_id_t id, void (*function)(qemu_plugin_id_t, void *), void *data);
void qemu_plugin_register_vcpu_tb_exec_inline(
    struct qemu_plugin_tb *block, int operation, void *counter, uint64_t amount);
void qemu_plugin_register_vcpu_tb_trans_cb(
    qemu_plugin_id_t id, void (*function)(qemu_plugin_id_t, struct qemu_plugin_tb *));

int qemu_plugin_version = 1;
static uint64_t executed;

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(
        block, ADD_U64, &executed, qemu_plugin_tb_n_insns(block));
}

static void ended(qemu_plugin_id_t id, void *data)
{
    char line[64];
    (void)id;
    (void)data;
    snprintf(line, sizeof line, "executed %llu\n", (unsigned long long)executed);
    qemu_plugin_outs(line);
}

int qemu_plugin_install(
    qemu_plugin_id_t id, const struct qemu_info_t *info, int count, char **words)
{
    (void)info;
    (void)count;
    (void)words;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
