using System.Globalization;

namespace Delora.Tests;

/// <summary>Calls back when a line is written that contains a text.</summary>
internal sealed class WatchedWriter(string text, Action found) : StringWriter(CultureInfo.InvariantCulture)
{
    public override void WriteLine(string? value)
    {
        base.WriteLine(value);
        if (value?.Contains(text, StringComparison.Ordinal) == true)
            found();
    }
}
