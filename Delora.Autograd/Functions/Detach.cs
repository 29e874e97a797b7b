using Delora.Core;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>The same elements, a view, cut off from the tape: no gradient flows back through it.</summary>
    /// <param name="x">Any shape.</param>
    public static Tensor Detach(this Tensor x) => x.View(x.Shape);
}
