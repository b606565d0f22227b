#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# suite: kill
"""run.py [all|count] [OPERATION[:PROGRAM[:INDEX[:K]]]...] - kill tests.

For each operation, each process that takes part in it, and each system call of that process: kills the process at that call, while
a member's call is open, and looks at what came of it (judge.py). Which processes and calls there are is counted first, in a run of
each operation that nobody disturbs. By default a sample of 150 rounds, every process at least once; BERTH_KILL_SEED=N repeats a
sample, BERTH_KILL_ROUNDS=N changes its size. `all` kills at every call, `count` only counts. Arguments choose among the rounds."""

import os
import random
import select
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from harness import check
import judge
from operations import OPERATIONS
from world import World, Hang

KILLER = os.path.join(os.path.abspath(os.environ.get('BERTH_BUILD', os.path.join(check.TOP, 'build'))), 'tests/kill/killer')
ROUNDS = int(os.environ.get('BERTH_KILL_ROUNDS', 150))
TRIES = 4           # rounds in which the victim got away are made up for by others, this many times
# What the processes of berth-supervisor are, in an operation that starts one and in one upon a running one
STARTED = ('root stage', 'supervisor', 'first process')
RUNNING = ('supervisor', 'joiner', 'program')


class Killer:
    """The tracer at work: killer.c has what it says."""

    def __init__(self, pids, call=0, program='-', index=0):
        self.process = subprocess.Popen([KILLER, str(call), program, str(index), *map(str, pids)],  # pylint: disable=consider-using-with
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != 'ready\n':
            raise RuntimeError('the killer cannot trace')

    def end(self, seconds=0):
        """Its lines, split. It may have until then to see a death."""
        if seconds:
            select.select([self.process.stdout], [], [], seconds)
        self.process.terminate()
        lines = [line.split() for line in self.process.communicate()[0].splitlines()]
        return lines


def role(operation, program, index):
    if program == 'berth-supervisor':
        names = RUNNING if operation.supervised else STARTED
        return names[index] if index < len(names) else f'supervisor {index}'
    if program == 'berth-spawner' and index > 0:
        return f'spawner fork {index}'
    return program if program in ('berthd', 'berth-spawner', 'polkitd') else f'{program} {index}'


def count(world, operation):
    """(program, index) -> calls, in a run that nobody disturbs."""
    operation.prepare(world)
    killer = Killer(world.roots(operation))
    try:
        operation.run(world)
        operation.wait(world)
    finally:
        rows = killer.end()
    return {(program, int(index)): int(calls) for _, program, index, calls in rows if int(calls) > 0}


def one_round(world, operation, program, index, call):
    """None if the victim was not killed while the operation was open, else what is wrong, as a list of lines."""
    operation.prepare(world)
    before = world.running()
    killer = Killer(world.roots(operation), call, program, index)
    begin = time.monotonic()
    error = judge.attempt(operation, world)
    end = time.monotonic()
    lines = killer.end()
    killed = bool(lines) and lines[0][0] == 'killed'
    counts = killed and begin <= float(lines[0][5]) <= end
    number = int(lines[0][4]) if killed else None
    findings = judge.judge(world, operation, program if killed else None, index, before, error)
    if not counts and not findings:
        return None, None
    return findings, number


def plan_sample(rounds, source):
    """Every process once, the rest at random, in random order; more than are needed, since some will not count."""
    by_process = {}
    for row in rounds:
        by_process.setdefault(row[:3], []).append(row)
    chosen = [source.choice(rows) for rows in by_process.values()]
    source.shuffle(chosen)
    rest = [row for row in rounds if row not in set(chosen)]
    # each process is as likely as any other, however many calls it makes
    keys = list(by_process)
    more = [source.choice(by_process[source.choice(keys)]) for _ in range(ROUNDS * TRIES)] if rest else []
    return chosen + more


def chosen_by(arguments, row):
    if not arguments:
        return True
    name = [str(part) for part in row]
    return any(all(a == b for a, b in zip(argument.split(':'), name)) for argument in arguments)


def show_table(tally):
    print('operation        process                rounds')
    for (operation, process), rounds in sorted(tally.items()):
        print(f'{operation:16} {process:22} {rounds:6}')


def main():
    mode = sys.argv[1] if sys.argv[1:2] and sys.argv[1] in ('all', 'count') else 'sample'
    arguments = sys.argv[1 + (mode != 'sample'):]
    world = World()
    operations = {o.name: o for o in OPERATIONS if chosen_by([a.split(':')[0] for a in arguments], (o.name,))}
    rounds = []
    for operation in operations.values():
        try:
            counted = count(world, operation)
        except Exception as e:  # pylint: disable=broad-except
            check.ok(False, f'{operation.name} undisturbed, but traced', repr(e))
            continue
        judge.settle(world)
        for (program, index), calls in sorted(counted.items()):
            print(f'# {operation.name}: {role(operation, program, index)} makes {calls} calls', flush=True)
            rounds += [(operation.name, program, index, call) for call in range(1, calls + 1)]
    if mode == 'count':
        check.ok(bool(rounds), f'{len(rounds)} rounds are possible')
        check.done()
    rounds = [row for row in rounds if chosen_by(arguments, row)]
    wanted = len(rounds)
    if mode == 'sample':
        seed = int(os.environ.get('BERTH_KILL_SEED') or random.SystemRandom().randrange(1 << 32))
        print(f'# BERTH_KILL_SEED={seed}', flush=True)
        rounds = plan_sample(rounds, random.Random(seed))
        wanted = ROUNDS

    tally, bad, missed = {}, 0, 0
    since = time.monotonic()
    for name, program, index, call in rounds:
        if sum(tally.values()) >= wanted:
            break
        operation = operations[name]
        text = f'{name}: {role(operation, program, index)} killed at call {call}'
        try:
            findings, number = one_round(world, operation, program, index, call)
        except Hang as e:
            findings, number = [str(e)], -1
        if findings is None:
            missed += 1
            continue
        key = (name, role(operation, program, index))
        tally[key] = tally.get(key, 0) + 1
        if findings:
            bad += 1
            check.ok(False, f'{text} (number {number}), repeat with {name}:{program}:{index}:{call}', '\n'.join(findings))
            world.recover()
    show_table(tally)
    total = sum(tally.values())
    print(f'# {total} rounds in {time.monotonic() - since:.0f} s; {missed} more did not count', flush=True)
    if mode == 'sample' and not arguments:
        check.ok(total >= wanted, f'{wanted} rounds count', f'only {total} do')
    check.ok(bad == 0 and total > 0, f'{total} rounds of {len(tally)} pairs of operation and process leave all in order',
             f'{bad} do not')
    check.done()


if __name__ == '__main__':
    if 'BERTH_SANDBOX' not in os.environ:
        os.environ.setdefault('BERTH_BUILD', os.path.join(check.TOP, 'build'))
    check.in_sandbox('busybox')
    main()
