using Delora.Kernels;

namespace Delora.Nn;

/// <summary>Settings checked where they are made.</summary>
internal static class CheckedSettings
{
    internal static AdamWSettings Checked(this AdamWSettings settings)
    {
        settings.Validate();
        return settings;
    }

    internal static SgdSettings Checked(this SgdSettings settings)
    {
        settings.Validate();
        return settings;
    }
}
