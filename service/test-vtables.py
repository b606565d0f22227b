#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test-vtables.py PROGRAM FOLDER POLICY: what the vtables say (PROGRAM walks them) is what the XML in FOLDER says, member for member;
every action of the authorization table is in POLICY with its owner annotation, and none of them is kept."""

import glob
import subprocess
import sys
import xml.etree.ElementTree as ET

EMITS = 'org.freedesktop.DBus.Property.EmitsChangedSignal'
OWNER = 'org.freedesktop.policykit.owner'


def arguments(member, direction):
    found = [a for a in member.findall('arg') if direction is None or a.get('direction') == direction]
    return [a.get('name') for a in found], ''.join(a.get('type') for a in found)


def lines_of_xml(folder):
    for path in sorted(glob.glob(f'{folder}/org.berth1.*.xml')):
        for interface in ET.parse(path).getroot().findall('interface'):
            name = interface.get('name')
            for m in interface.findall('method'):
                names, signature = arguments(m, 'in')
                result_names, result = arguments(m, 'out')
                everything = ''.join(f'{n},' for n in names + result_names)
                yield f'method {name} {m.get("name")} {everything} {signature or "-"} {result or "-"}'
            for m in interface.findall('signal'):
                names, signature = arguments(m, None)
                everything = ''.join(f'{n},' for n in names)
                yield f'signal {name} {m.get("name")} {everything} {signature or "-"}'
            for p in interface.findall('property'):
                assert p.get('access') == 'read', p.get('name')
                emits = [a.get('value') for a in p.findall('annotation') if a.get('name') == EMITS] or ['true']
                yield f'property {name} {p.get("name")} {p.get("type")} {emits[0]}'


def check_policy(path, actions):
    known = {}
    for action in ET.parse(path).getroot().findall('action'):
        owner = [a.text for a in action.findall('annotate') if a.get('key') == OWNER]
        known[action.get('id')] = owner
        for default in action.find('defaults'):
            assert default.text in ('no', 'auth_admin'), (action.get('id'), default.text)
        assert action.find('description').text and action.find('message').text
        privileged = action.get('id') == 'org.berth1.container.configure-privileged'
        assert owner == ['unix-user:berth-grant' if privileged else 'unix-user:berth'], (action.get('id'), owner)
    missing = {f'org.berth1.{a}' for a in actions} - set(known)
    assert not missing, missing


program, folder, policy = sys.argv[1:]
said = subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
vtables = {line for line in said if not line.startswith('row ')}
xml = set(lines_of_xml(folder))
assert xml, 'no XML'
for line in sorted(xml ^ vtables):
    print(('only in the XML: ' if line in xml else 'only in the vtables: ') + line)
check_policy(policy, {line.split()[3] for line in said if line.startswith('row ')} - {'-'})
sys.exit(xml != vtables)
