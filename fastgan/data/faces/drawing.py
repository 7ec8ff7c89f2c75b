"""Drawing of faces from signed distances, in PyTorch.

All operations on pixels are exactly rounded: sums, products, quotients, roots, comparisons. So a
face has the same pixels in any batch and on every machine.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.data.faces.traits import Faces
from fastgan.data.painting import Layers

PARTS = (
    "background", "skin", "hair", "eyes", "brows", "mouth", "beard", "glasses", "hat", "clothes",
)  # fmt: skip
"""Classes of a face's semantic map."""

# Sine and cosine of the angle between nose and eye, seen from above.
_EYE_SIN, _EYE_COS = 0.44, 0.898
_LAYERS = 30


def draw(faces: Faces, resolution: int) -> Layers:
    """Return the layers of N faces."""
    g = faces.numbers
    place = (torch.arange(resolution, dtype=torch.float32) + 0.5) / resolution
    # The body's coordinates are upright, the head's are tilted; both in half-heights of the head.
    bx = (place.view(1, 1, -1) - g["x"]) / g["size"]
    by = (place.view(1, -1, 1) - g["y"]) / g["size"]
    cosine = 1 / (1 + g["tilt"] * g["tilt"]).sqrt()
    sine = g["tilt"] * cosine
    u = bx * cosine + by * sine
    v = by * cosine - bx * sine
    paint = Layers(u, _LAYERS, PARTS, 1 / (resolution * g["size"]))
    cover, add = paint.cover, paint.add

    below, above = v.clamp(min=0), v.clamp(max=0)
    narrow = 1 - (below * below).mul_(g["jaw"])
    narrow.mul_(g["width"])
    side = u / narrow
    head = (_radius(side, v) - 1) * g["width"]
    outer = 1 + g["volume"]
    cap_u = u / (g["width"] * outer)
    crown = above / outer
    waves = _triangle((u * 2.6).add_(0.3)).add_(_triangle(v * 2.6))
    cap = _radius(cap_u, crown).sub_(1).mul_(g["width"]).add_(waves.mul_(g["waves"]))

    _add_hat(paint, g, u, v, cap)
    # Hair on the forehead and the temples, with its light.
    h = u - 0.5 * g["turn"]
    line = (g["bend"] * h).add_(g["slant"]).mul_(h).add_(g["line"])
    ends = torch.maximum(v - line, v - g["length"].clamp(min=0.05))
    fringe = torch.maximum(cap, ends)
    knot = _radius(u, v + 1.2).sub_(g["bun"])
    fringe = torch.minimum(fringe, knot)
    shine = (0.2 - (cap + 0.2).abs_()).mul_(2.2).clamp_(0, 0.5)
    hair = cover(fringe)
    add(shine.mul_(hair), "hair light", "hair")
    add(hair, "hair", "hair")
    # No feature of a face reaches the outer eighths of the picture.
    with paint.window():
        _add_face(paint, g, *(paint.windowed(x).contiguous() for x in (u, v, side, head)))
    # Ears: the turn hides one.
    ear = u.abs().sub_(0.98 * g["width"]).mul_(1.5)
    ear = _radius(ear, v - 0.08).sub_(0.19)
    add(cover(ear), "shaded skin", "skin")
    _add_body(paint, g, bx, by)
    # Hair behind the face.
    tail = torch.maximum(cap, v - g["length"])
    add(cover(tail), "hair dark", "hair")
    add((by * 0.28 + 0.3).clamp_(0, 1).expand_as(u).clone(), "background low", "background")
    add(torch.ones_like(u), "background", "background")
    return paint


def _add_hat(paint: Layers, g: dict[str, Tensor], u: Tensor, v: Tensor, cap: Tensor) -> None:
    """Add a woollen hat with a bobble in winter, a straw hat with a brim in summer."""
    summer = 1 - g["winter"]
    edge = v + 0.52
    band = torch.maximum(
        (edge + 0.02).abs_().sub_(0.12), u.abs() - 0.98 * g["width"] - 0.2 * g["winter"]
    )
    paint.add(paint.cover(band).mul_(g["hat"]), "band", "hat")
    crown = torch.maximum(cap - 0.09, edge)
    bobble = _radius(u, v + 1.32).sub_(0.3 * g["winter"] - 0.1)
    brim = torch.maximum((edge - 0.12 + 0.1 * u * u).abs_().sub_(0.07), u.abs() - 1.5 * summer)
    top = torch.minimum(torch.minimum(crown, bobble), brim)
    paint.add(paint.cover(top).mul_(g["hat"]), "hat", "hat")


def _add_face(
    paint: Layers, g: dict[str, Tensor], u: Tensor, v: Tensor, side: Tensor, head: Tensor
) -> None:
    """Add glasses, eyes, mouth, beard, nose, marks of age and the skin."""
    cover, add = paint.cover, paint.add
    # A turned head moves its features, those nearest to the viewer most.
    p = g["turn"]
    q = (1 - p * p).sqrt_()
    centre = (u - 0.86 * _EYE_COS * p).abs_()
    e = centre - 0.86 * _EYE_SIN * q
    w = v - g["eye height"]
    round_eye = _radius(e, w)
    # Glasses: a ring around each eye, and a bar from ear to ear outside the rings.
    bar = torch.maximum(torch.maximum((w + 0.03).abs_().sub_(0.02), 0.25 - round_eye), head)
    add(
        cover(torch.minimum((round_eye - 0.25).abs_().sub_(0.025), bar)).mul_(g["glasses"]),
        "frame",
        "glasses",
    )
    # Eyes: lids are parabolas.
    t = e / 0.2
    lid = (1 - t * t).mul_(g["lids"])
    face = cover(head.clone())
    white = torch.minimum(cover(w.abs() - lid), face)
    glint = _radius(e - 0.03, w + 0.035).sub_(0.028)
    add(torch.minimum(cover(glint), white), "white", "eyes")
    add(torch.minimum(cover(round_eye - 0.045), white), "dark", "eyes")
    add(torch.minimum(cover(round_eye - 0.1), white), "eyes", "eyes")
    inside = e.abs().sub_(0.2)
    add(cover(torch.maximum((w + lid).abs_().sub_(0.022), inside)), "line", "eyes")
    add(white, "white", "eyes")
    brow = (0.9 * e).add_(g["brow slope"]).mul_(e).add_(w).add_(0.2).abs_().sub_(g["brow"])
    add(cover(torch.maximum(brow, inside)), "brow", "brows")
    _add_mouth(paint, g, u - 0.8 * p, v, face)
    beard = torch.maximum(head - 0.05, 0.36 - 0.5 * side * side - v)
    add(cover(beard).mul_(g["beard"]), "hair dark", "beard")
    # Nose: its lower edge, and the side of the bridge that lies in the shade.
    n = u - 0.95 * p
    edge = (5 * n).mul_(n).add_(v).sub_(0.27).abs_().sub_(0.03)
    add(cover(torch.maximum(edge, n.abs().sub_(g["nose"]))).mul_(0.8), "line", "skin")
    bridge = torch.maximum(n * g["shade"].sign(), -v - 0.02)
    bridge = torch.maximum(bridge, v - 0.26)
    slope = -n * g["shade"].sign() - 0.04 - 0.3 * (v + 0.02)
    add(cover(torch.maximum(bridge, slope)).mul_(0.45), "shaded skin", "skin")
    # Age: lines on the forehead and beside the mouth.
    forehead = torch.maximum(((v + 0.42).abs_().sub_(0.06)).abs_().sub_(0.025), centre - 0.36)
    folds = (centre - 0.22 - 0.28 * v).abs_().sub_(0.028)
    folds = torch.maximum(folds, (v - 0.34).abs_().sub_(0.17))
    add(cover(torch.minimum(forehead, folds)).mul_(0.75 * g["old"]), "line", "skin")
    cheeks = _radius(e, v - 0.3)
    add((0.3 - cheeks).mul_(3).clamp_(0, 0.6).mul_(g["young"]).mul_(face), "blush", "skin")
    add((side * g["shade"]).clamp_(0, 1).mul_(face), "shaded skin", "skin")
    add(face, "skin", "skin")


def _add_mouth(paint: Layers, g: dict[str, Tensor], u: Tensor, v: Tensor, face: Tensor) -> None:
    m = u / g["mouth width"]
    m2 = m * m
    arch = 1 - m2
    y = v - 0.55 - g["smile"] * 0.2 * (0.45 - m2)
    gap = arch * g["open"]
    teeth = torch.maximum((y - 0.2 * gap).abs_() - 0.7 * gap, -gap)
    within = (y - 0.5 * gap).abs_()
    closed = (g["open"] <= 0).to(torch.float32)
    inside = torch.minimum(paint.cover(within - gap - 0.012 * closed * arch), face)
    paint.add(torch.minimum(paint.cover(teeth + closed), inside), "white", "mouth")
    paint.add(inside, "mouth", "mouth")
    lips = paint.cover(within - gap - g["lips"] * arch)
    paint.add(torch.minimum(lips, face), "lips", "mouth")


def _add_body(paint: Layers, g: dict[str, Tensor], x: Tensor, y: Tensor) -> None:
    """Add scarf and coat in winter, a shirt with a neckline in summer, and the neck."""
    ax = x.abs()
    drop = y - 1.12 - (0.12 * x).mul_(x)
    scarf = torch.maximum(drop.abs().sub_(0.2), ax - 0.66)
    wound = paint.cover(scarf).mul_(g["winter"])
    stripes = paint.cover(_triangle(x * 2.4 + drop) - 0.5)
    paint.add(stripes.mul_(wound), "scarf", "clothes")
    paint.add(wound, "collar", "clothes")
    sx, sy = x / 1.45, (y - 2.3) / 1.1
    shoulders = _radius(sx, sy).sub_(1)
    neckline = torch.maximum(ax - 0.62 + 0.75 * (y - 1.0), shoulders + g["winter"])
    neck = torch.minimum(torch.maximum(ax - 0.33, y - 1.4 + 0.2 * g["winter"]), neckline)
    bare = paint.cover(torch.maximum(neck, -y))
    chin = (1.35 - y).mul_(1.2).clamp_(0, 0.8)
    paint.add(chin * bare, "shaded skin", "skin")
    paint.add(bare, "skin", "skin")
    paint.add(paint.cover(shoulders), "dress", "clothes")


def _triangle(x: Tensor) -> Tensor:
    """Return a wave of period 1 between 0 and 1."""
    return (x - x.round()).abs_().mul_(2)


def _radius(x: Tensor, y: Tensor) -> Tensor:
    return (x * x + y * y).sqrt_()
