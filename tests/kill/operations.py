# SPDX-License-Identifier: LGPL-2.1-or-later
"""The operations under which processes are killed. Each brings about what it needs, does one thing as a member, and knows
what must be true after a success, and after an error that says it was not done."""

from world import ARCHIVE


class Operation:
    name = None
    supervised = False      # it is done by the supervisor of `subject`, which runs
    running = False         # what `subject` has to be before
    ends = False            # a success ends `subject`

    def prepare(self, world):
        world.remove('new')
        world.be('subject', self.running)

    def run(self, world):
        raise NotImplementedError

    def wait(self, world):
        """Until what the call has begun is over, too."""

    def done(self, world):
        """Whether the thing is done; None if that cannot be seen."""
        raise NotImplementedError


class Create(Operation):
    name = 'create'

    def run(self, world):
        world.bus.finish(world.bus.manager('CreateContainer', 'sa{sv}', 'new', {'image': 'busybox'}))

    def done(self, world):
        return 'new' in world.states()


class Import(Operation):
    name = 'import'

    def prepare(self, world):
        super().prepare(world)
        world.remove_image('new')

    def run(self, world):
        world.bus.import_image('new', ARCHIVE)

    def done(self, world):
        return world.has_image('new')


class Start(Operation):
    name = 'start'

    def run(self, world):
        world.container('subject', 'Start')

    def done(self, world):
        return world.states()['subject'] == 'running'


class Exec(Operation):
    name = 'exec'
    supervised = running = True

    def run(self, world):
        world.execute('subject')

    def done(self, world):
        return None


class Stop(Operation):
    name = 'stop'
    supervised = running = ends = True

    def run(self, world):
        world.bus.finish(world.container('subject', 'Stop'))

    def done(self, world):
        return world.states()['subject'] == 'stopped'


class Kill(Operation):
    name = 'kill'
    supervised = running = ends = True

    def run(self, world):
        world.container('subject', 'Kill', 'ia{sv}', 9)

    def done(self, world):
        return world.states()['subject'] == 'stopped'


class Snapshot(Operation):
    name = 'snapshot'

    def prepare(self, world):
        super().prepare(world)
        world.remove_snapshot('subject', 'new')

    def run(self, world):
        world.container('subject', 'TakeSnapshot', 'sa{sv}', 'new')

    def done(self, world):
        return 'new' in world.snapshots('subject')


class Restore(Operation):
    """The container `marked` has another content than its snapshot."""
    name = 'restore'

    def prepare(self, world):
        world.remove('new')
        if not world.mark:
            world.be('marked', True)
            world.execute('marked', 'touch', '/root/mark')
            world.be('marked', False)
            world.mark = True
        world.be('subject', False)

    def run(self, world):
        world.mark = False
        world.container('marked', 'RestoreSnapshot', 'sa{sv}', 'empty')

    def done(self, world):
        world.be('marked', True)
        world.mark = world.succeeds('marked', 'test', '-e', '/root/mark')
        world.be('marked', False)
        return not world.mark


class Clone(Operation):
    name = 'clone'

    def run(self, world):
        world.container('subject', 'Clone', 'sa{sv}', 'new')

    def done(self, world):
        return 'new' in world.states()


class Destroy(Operation):
    """With the deletion of what it held, which goes on after the answer."""
    name = 'destroy'

    def prepare(self, world):
        super().prepare(world)
        world.make('new')
        world.be('new', True)   # so that there is something to delete
        world.be('new', False)

    def run(self, world):
        world.container('new', 'Destroy')

    def wait(self, world):
        world.wait_for_trash()

    def done(self, world):
        return 'new' not in world.states()


OPERATIONS = (Create(), Import(), Start(), Exec(), Snapshot(), Restore(), Clone(), Stop(), Kill(), Destroy())
