/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Test support: a static program that test-mount puts into a layer; its exit status says as what it was executed: 1 if
 * its effective user is root, plus 2 if it has CAP_NET_RAW. */

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
        struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct data[2] = {};

        if (syscall(SYS_capget, &header, data) < 0)
                return 100;
        return (geteuid() == 0 ? 1 : 0) + ((data[0].effective & (1U << CAP_NET_RAW)) != 0 ? 2 : 0);
}
