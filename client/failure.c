/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Failures as people and scripts see them: a sentence, what to do, an exit status. */

#include "client.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "org.berth1.Error."
#define STANDARD "org.freedesktop.DBus.Error."

#define NOT_RUNNING_SERVICE "See whether the service is there: systemctl status berthd, and berth check."

static const Meaning meanings[] = {
        { "NoSuchContainer", EXIT_NOT_THERE, EXIT_EXEC_FAILED, "berth list shows those that there are." },
        { "NoSuchImage", EXIT_NOT_THERE, EXIT_EXEC_FAILED, "berth image list shows those that there are, berth image import makes one." },
        { "NoSuchSnapshot", EXIT_NOT_THERE, EXIT_EXEC_FAILED, "berth info NAME shows those that there are." },
        { "NotRunning", EXIT_NOT_THERE, EXIT_EXEC_FAILED, "Start it: berth start NAME." },
        { "AlreadyExists", EXIT_FAILED, EXIT_EXEC_FAILED, "Choose another name, or remove what has it." },
        { "Running", EXIT_FAILED, EXIT_EXEC_FAILED, "Stop it first: berth stop NAME." },
        { "Busy", EXIT_FAILED, EXIT_EXEC_FAILED, "Something else is being done with it; try again in a moment." },
        { "InvalidName", EXIT_USAGE, EXIT_EXEC_FAILED,
          "A name is a letter or digit and up to 62 more, or . _ -, without two dots in a row." },
        { "InvalidArgument", EXIT_USAGE, EXIT_EXEC_FAILED, "See berth(1)." },
        { "InvalidArgs", EXIT_USAGE, EXIT_EXEC_FAILED, "Client and service may be of different versions; see berth(1)." },
        { "Usage", EXIT_USAGE, EXIT_EXEC_FAILED, "berth --help shows what there is." },
        { "LimitReached", EXIT_FAILED, EXIT_EXEC_FAILED, "Remove what is not needed any more, or ask the administrator for more." },
        { "LimitsExceeded", EXIT_FAILED, EXIT_EXEC_FAILED, "Wait for what is under way, or ask the administrator for more." },
        { "StillUsed", EXIT_FAILED, EXIT_EXEC_FAILED, "berth destroy NAME --snapshots takes its snapshots along." },
        { "HelperFailed", EXIT_FAILED, EXIT_EXEC_FAILED,
          "berth check says whether this host is fit; journalctl -u berth-spawner -u berthd says more." },
        { "Unsupported", EXIT_FAILED, EXIT_EXEC_FAILED, "berth check says what this host lacks." },
        { "TimedOut", EXIT_TIMED_OUT, EXIT_EXEC_FAILED, "Give it more time with --timeout, or end it: berth stop NAME --kill." },
        { "Timeout", EXIT_TIMED_OUT, EXIT_EXEC_FAILED, "The service does not answer: journalctl -u berthd says more." },
        { "NoReply", EXIT_TIMED_OUT, EXIT_EXEC_FAILED, "The service does not answer: journalctl -u berthd says more." },
        { "Cancelled", EXIT_FAILED, EXIT_EXEC_FAILED, "Nothing was changed; do it again if that was not meant." },
        { "AccessDenied", EXIT_DENIED, EXIT_EXEC_FAILED,
          "Ask the administrator to add you to the group berth-users, or for a polkit rule." },
        { "InteractiveAuthorizationRequired", EXIT_DENIED, EXIT_EXEC_FAILED,
          "This wants a password: call it without --no-ask-password, on a terminal." },
        { "NotFound", EXIT_NOT_THERE, EXIT_NOT_FOUND, "There is no such program inside; name one with its path." },
        { "CannotExecute", EXIT_FAILED, EXIT_CANNOT_EXECUTE, "See whether it is a program, for this machine, and executable." },
        { "ServiceUnknown", EXIT_FAILED, EXIT_EXEC_FAILED, NOT_RUNNING_SERVICE },
        { "NameHasNoOwner", EXIT_FAILED, EXIT_EXEC_FAILED, NOT_RUNNING_SERVICE },
        { "Disconnected", EXIT_FAILED, EXIT_EXEC_FAILED, NOT_RUNNING_SERVICE },
        { "CannotRead", EXIT_FAILED, EXIT_EXEC_FAILED, "Nothing was made. Pack what you may read, or do it as its owner." },
};

Meaning failure_meaning(const char *error) {
        const char *dot = strrchr(error, '.');

        if (strncmp(error, PREFIX, strlen(PREFIX)) == 0)
                error += strlen(PREFIX);
        else if (strncmp(error, STANDARD, strlen(STANDARD)) == 0)
                error += strlen(STANDARD);
        else if (dot)
                return (Meaning) { dot + 1, EXIT_FAILED, EXIT_EXEC_FAILED, "journalctl -u berthd may say more." };
        for (size_t i = 0; i < ELEMENTSOF(meanings); i++)
                if (streq(meanings[i].error, error))
                        return meanings[i];

        return (Meaning) { error, EXIT_FAILED, EXIT_EXEC_FAILED, "journalctl -u berthd may say more." };
}

/* What the service says is text from elsewhere: nothing in it may drive the terminal. */
static void print_clean(const char *text) {
        for (; *text; text++)
                (void) fputc((unsigned char) *text < 0x20 || *text == 0x7f ? '?' : *text, stderr);
}

int fail(const Client *c, const char *error, const char *message) {
        const Verb *verb = c->arguments ? c->arguments->verb : NULL;
        bool exec = verb && (verb->run == verb_exec || verb->run == verb_shell);
        Meaning meaning = failure_meaning(error);

        if (c->arguments && c->arguments->given[OPTION_JSON]) {
                _cleanup_json_ json_t *json = json_pack("{s:s, s:s+, s:s}", "error", meaning.error, "message", message, "",
                                                        "remedy", meaning.remedy);

                if (json)
                        (void) json_dumpf(json, stderr, JSON_COMPACT);
                (void) fputc('\n', stderr);
        } else {
                (void) fputs("berth: ", stderr);
                print_clean(message);
                (void) fprintf(stderr, "\n       %s\n", meaning.remedy);
        }

        return exec ? meaning.exec_status : meaning.status;
}

int failf(const Client *c, const char *error, const char *format, ...) {
        _cleanup_free_ char *message = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&message, format, ap);
        va_end(ap);
        if (n < 0)
                message = NULL;

        return fail(c, error, message ?: "Out of memory.");
}

int fail_bus(const Client *c, const sd_bus_error *e, int r, const char *object) {
        if (!e || !sd_bus_error_is_set(e)) {
                if (r == -ETIMEDOUT)
                        return fail(c, "TimedOut", "The service did not answer in time.");
                if (r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE || r == -ECONNREFUSED || r == -ENOENT)
                        return failf(c, "Disconnected", "The system bus is not there: %s.", strerror(-r));
                return failf(c, "Failed", "%s: %s.", object, strerror(-r));
        }
        /* Who asks for an object that is not there is told so by the bus library, in its own words. */
        if (sd_bus_error_has_name(e, SD_BUS_ERROR_UNKNOWN_OBJECT))
                return failf(c, strstr(e->message ?: "", "/image/") ? "NoSuchImage" :
                                strstr(e->message ?: "", "/snapshot/") ? "NoSuchSnapshot" : "NoSuchContainer",
                             "There is no \"%s\".", object);
        if (sd_bus_error_has_name(e, SD_BUS_ERROR_SERVICE_UNKNOWN) || sd_bus_error_has_name(e, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                return fail(c, e->name, "The service org.berth1 is not there.");

        return fail(c, e->name, e->message ?: e->name);
}
