from __future__ import annotations

from torch import Tensor, nn

from fastgan import ops


class ConvTranspose2d(nn.ConvTranspose2d):
    """:class:`torch.nn.ConvTranspose2d` by :func:`fastgan.ops.conv_transpose2d`.

    Arguments, parameters, initialisation and state dict are torch's. Dilation, padding of the
    output and single images run torch's own layer.

    Shape:
        ``[N, C, H, W]`` → ``[N, O, H_out, W_out]``.
    """

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        plain = self.dilation == (1, 1) and self.output_padding == (0, 0) and output_size is None
        if not plain or x.ndim != 4:
            return super().forward(x, output_size)
        stride, padding = self.stride, self.padding
        # Torch allows names of paddings for other layers alone.
        assert not isinstance(padding, str)
        y = ops.conv_transpose2d(x, self.weight, stride=stride, padding=padding, groups=self.groups)
        return y if self.bias is None else ops.bias_act(y, self.bias)
