"""The inner loops of the passes in C, one library for each kind of CPU, where a compiler made them at installation.

``kernel.c`` includes the parts: ``vectors.h``, ``states.h``, ``decompositions.h``, ``frames.h``, ``adam.h``. ``build``
compiles them, ``library`` chooses and loads one, ``passes`` hands arrays over.
"""
