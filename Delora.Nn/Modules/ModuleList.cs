using System.Globalization;

namespace Delora.Nn;

/// <summary>Modules by number, named <c>0</c>, <c>1</c>, … as PyTorch's <c>ModuleList</c> names them.</summary>
public sealed class ModuleList : Module
{
    private int _count;

    /// <summary>Adds the next module.</summary>
    /// <returns>The module.</returns>
    public T Add<T>(T module) where T : Module => Register((_count++).ToString(CultureInfo.InvariantCulture), module);
}
