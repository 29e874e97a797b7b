using System.Reflection;
using System.Runtime.InteropServices;
using ILGPU;

namespace Delora.Kernels;

/// <summary>
/// Finds the drivers' libraries. ILGPU imports <c>OpenCL</c> and <c>cuda</c>, names that on Linux belong to development packages; drivers
/// install the versioned names.
/// </summary>
internal static class NativeDrivers
{
    private static readonly Dictionary<string, string[]> s_linuxNames = new(StringComparer.Ordinal)
    {
        ["cuda"] = ["libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "libcuda.so"],
        ["OpenCL"] = ["libOpenCL.so.1", "libOpenCL.so"],
    };

    private static readonly Lazy<bool> s_installed = new(Install);

    /// <summary>Must run before anything of ILGPU's runtime is touched: ILGPU decides once whether a driver is there.</summary>
    internal static void EnsureInstalled() => _ = s_installed.Value;

    private static bool Install()
    {
        // The functions that CudaApi binds itself: no application can have come first.
        NativeLibrary.SetDllImportResolver(typeof(NativeDrivers).Assembly, Resolve);
        if (!OperatingSystem.IsLinux()) return false;
        try
        {
            NativeLibrary.SetDllImportResolver(typeof(Context).Assembly, Resolve);
            return true;
        }
        catch (InvalidOperationException)
        {
            // An application that uses ILGPU itself has set its resolver already; an assembly has only one.
            return false;
        }
    }

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path)
    {
        if (OperatingSystem.IsWindows() && name == "cuda") return NativeLibrary.TryLoad("nvcuda", assembly, path, out nint driver) ? driver : 0;
        if (OperatingSystem.IsLinux() && s_linuxNames.TryGetValue(name, out string[]? candidates))
            foreach (string candidate in candidates)
                if (NativeLibrary.TryLoad(candidate, assembly, path, out nint handle)) return handle;
        return 0;
    }
}
