/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The language of configuration: the key table, each refusal, quoting, round trips. */

#include "config.h"
#include "test.h"
#include "text-list.h"

static int parse(const char *text, Config *ret, char **reason) {
        return config_parse(text, strlen(text), "f", ret, reason);
}

static void refused(const char *text, const char *expected) {
        _cleanup_free_ char *reason = NULL;
        Config c;

        check(parse(text, &c, &reason) == -EBADMSG);
        if (!strstr(reason, expected)) {
                (void) fprintf(stderr, "%s\nnot: %s\n", reason, expected);
                abort();
        }
}

static void test_table(void) {
        for (size_t i = 0; i < config_n_keys; i++) {
                const ConfigKey *k = &config_keys[i];

                check(strncmp(k->key, "lxc.", 4) == 0 && k->help[0] && k->expected[0] && k->is_valid);
                check(i == 0 || strcmp(config_keys[i - 1].key, k->key) < 0);
        }
}

static void test_good(void) {
        _cleanup_(config_done) Config c = {}, copy = {};
        _cleanup_free_ char *text = NULL, *again = NULL;
        size_t size, size_again;

        check(parse("# a comment\n\n  lxc.init.cmd=/sbin/init  a 'b c' \nlxc.uts.name = web\nlxc.environment = A=1\n"
                    "lxc.environment = \"B= 2 \"\nlxc.init.cwd\t=\t/root\nlxc.uts.name = db", &c, NULL) == 0);
        check(streq(c.init_command, "/sbin/init  a 'b c'") && streq(c.host_name, "db") && streq(c.init_folder, "/root"));
        check(strv_length(c.environment) == 2 && streq(c.environment[1], "B= 2 "));
        check(config_format(&c, &text, &size) == 0);
        check(config_copy(&c, &copy) == 0 && config_format(&copy, &again, &size_again) == 0);
        check(size == size_again && memcmp(text, again, size) == 0);
        config_done(&copy);
        check(parse("lxc.environment = A=1\nlxc.environment =\nlxc.uts.name = x\nlxc.uts.name =\n", &copy, NULL) == 0);
        check(!copy.environment && !copy.host_name);
}

static void test_bad(void) {
        refused("lxc.net.0.type = veth\n", "f:1: Berth has no configuration key 'lxc.net.0.type'.");
        refused("\n\nnonsense\n", "f:3: expected 'key = value'.");
        refused("= x\n", "no configuration key ''");
        refused("lxc.uts.name = -x\n", "f:1: lxc.uts.name: expected a host name");
        refused("lxc.uts.name = a b\n", "lxc.uts.name: expected");
        refused("lxc.init.cmd = init\n", "lxc.init.cmd: expected an absolute path");
        refused("lxc.init.cmd = /init 'a\n", "lxc.init.cmd: expected");
        refused("lxc.init.cwd = root\n", "lxc.init.cwd: expected");
        refused("lxc.init.cwd = /a/..\n", "lxc.init.cwd: expected");
        refused("lxc.init.cwd = /../a\n", "lxc.init.cwd: expected");
        refused("lxc.environment = A\n", "lxc.environment: expected NAME=value");
        refused("lxc.environment = 1A=x\n", "lxc.environment: expected");
        refused("lxc.environment = =x\n", "lxc.environment: expected");
        refused("lxc.environment = A=\xff\n", "UTF-8");
        refused("lxc.environment = A=\x01\n", "control characters");
        refused("\x01\xff = 1\n", "'?'");
}

static void test_bytes(void) {
        static const char nul[] = "lxc.uts.name = a\0b\n";
        char huge[CONFIG_VALUE_MAX + 64];
        Config c;

        check(config_parse(nul, sizeof(nul) - 1, "f", &c, NULL) == -EBADMSG);
        memset(huge, 'a', sizeof(huge));
        memcpy(huge, "lxc.environment = A=", 20);
        huge[sizeof(huge) - 1] = 0;
        refused(huge, "at most 4096 bytes");
        check(config_parse("", 0, "f", &c, NULL) == 0);
        config_done(&c);
}

static void test_split(void) {
        _cleanup_strv_ char **w = NULL, **environment = NULL, **init = NULL;
        static char *const more[] = { (char *) (void *) "PATH=/x", (char *) (void *) "B=3", NULL };
        _cleanup_(config_done) Config c = {};

        check(command_split("  /a  \"b \\\" c\" 'd \\ e' f\\ g  ''", &w) == 0);
        check(strv_length(w) == 5 && streq(w[1], "b \" c") && streq(w[2], "d \\ e") && streq(w[3], "f g") && streq(w[4], ""));
        check(command_split("", &environment) == -EINVAL && command_split("  ", &environment) == -EINVAL);
        check(command_split("''", &environment) == -EINVAL && command_split("'a", &environment) == -EINVAL);
        check(config_init_arguments(&c, &init) == 0 && strv_length(init) == 1 && streq(init[0], "/sbin/init"));
        check(config_set(&c, "lxc.environment", "B=2", NULL) == 0 && config_set(&c, "lxc.environment", "BB=1", NULL) == 0);
        check(config_environment(&c, more, &environment) == 0);
        check(strv_length(environment) == 4 && streq(environment[0], "PATH=/x") && streq(environment[1], "container=lxc"));
        check(streq(environment[2], "B=3") && streq(environment[3], "BB=1"));
}

static void test_utf8(void) {
        check(utf8_is_valid("aä€𝄞"));
        check(!utf8_is_valid("\xc0\x80") && !utf8_is_valid("\xe0\x80\x80") && !utf8_is_valid("\xed\xa0\x80"));
        check(!utf8_is_valid("\xf4\x90\x80\x80") && !utf8_is_valid("\x80") && !utf8_is_valid("\xe2\x82"));
}

int main(void) {
        test_table();
        test_good();
        test_bad();
        test_bytes();
        test_split();
        test_utf8();
        return 0;
}
