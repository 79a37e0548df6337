"""`make demo`: the main job from end to end on the local twin, each step verified.

The system's own template is deployed; an application team's account orders networks, first by stacks of its own and
then from the catalogue, grows them, and gives them back. Everything is asked through the APIs that a team would use,
and checked in EC2 and in the table that decides.
"""
