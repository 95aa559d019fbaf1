#!/bin/sh
# A stand-in for a coding agent, to try Shopfloor without any model: it adds the task's title to SHOPFLOOR_NOTES.md.
#
# An agent gets its prompt on standard input, whose first line is the title in the blueprint "note", works in the
# directory that it is started in, and exits with 0 when it is done. The file that $SHOPFLOOR_TASK names describes the
# task as JSON.
set -eu
IFS= read -r title || [ -n "$title" ]
printf -- '- %s\n' "$title" >> SHOPFLOOR_NOTES.md
