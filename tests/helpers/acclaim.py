"""A small skeleton and motion in Acclaim's format, made by hand."""

ASF = """# made by hand
:version 1.10
:name VICON
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
  anything: (here)
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name lhipjoint
    direction 1 0 0
    length 2
    axis 0 0 0 XYZ
  end
  begin
    id 2
    name lfemur
    direction 0 -1 0
    length 7
    axis 0 0 90 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0, inf)
  end
  begin
    id 3
    name ltibia
    direction 0 -1 0
    length 6
    axis 0 0 0 XYZ
    dof rx
    limits (-10.0 170.0)
  end
:hierarchy
  begin
    root lhipjoint
    lhipjoint lfemur
    lfemur ltibia
  end
"""
LAST = "           (-60.0, inf)\n"  # of the thigh's ranges
AMC = """#!OML:ASF made by hand
:FULLY-SPECIFIED
:DEGREES
1
root 10 20 30 0 0 0
lfemur 0 0 0
ltibia 0
2
root 0 0 0 0 0 0
lfemur 90 0 0
ltibia 90
3
root 0 0 0 0 90 0
lfemur 0 90 0
ltibia 0
"""
