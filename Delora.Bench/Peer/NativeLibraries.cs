using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Delora.Bench.Peer;

/// <summary>
/// TorchSharp 0.107.0's native library asks for the symbol version GLIBCXX_3.4.32 of GCC 13, although nothing that it relocates needs it; older
/// systems (Debian 12) refuse to load it for that. Where it does not load, the need is marked as weak in the copy in this program's output folder.
/// </summary>
internal static class NativeLibraries
{
    private const string Version = "GLIBCXX_3.4.32";
    private const uint VersionNeeds = 0x6ffffffe; // SHT_GNU_verneed
    private const byte Weak = 2; // VER_FLG_WEAK

    internal static void Prepare()
    {
        string path = Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native", "libLibTorchSharp.so");
        if (!OperatingSystem.IsLinux() || !File.Exists(path) || NativeLibrary.TryLoad(path, out _)) return;
        byte[] image = File.ReadAllBytes(path);
        if (Weaken(image))
        {
            // A new file: the old one may be mapped.
            string temporary = $"{path}.{Environment.ProcessId}";
            File.WriteAllBytes(temporary, image);
            File.Move(temporary, path, overwrite: true);
        }
        NativeLibrary.Load(path);
    }

    private static bool Weaken(byte[] image)
    {
        bool changed = false;
        long sections = Long(image, 0x28);
        int size = Short(image, 0x3A), count = Short(image, 0x3C);
        for (int i = 0; i < count; i++)
        {
            long section = sections + (long)i * size;
            if (Int(image, section + 4) != VersionNeeds) continue;
            long need = Long(image, section + 0x18), names = Long(image, sections + Int(image, section + 0x28) * (long)size + 0x18);
            for (uint next = 1; next != 0; need += next)
            {
                long entry = need + Int(image, need + 8);
                for (int left = Short(image, need + 2); left > 0; left--, entry += Int(image, entry + 12))
                {
                    if (Name(image, names + Int(image, entry + 8)) != Version) continue;
                    image[entry + 4] |= Weak;
                    changed = true;
                }
                next = Int(image, need + 12);
            }
        }
        return changed;
    }

    private static ushort Short(byte[] image, long at) => BinaryPrimitives.ReadUInt16LittleEndian(image.AsSpan((int)at));

    private static uint Int(byte[] image, long at) => BinaryPrimitives.ReadUInt32LittleEndian(image.AsSpan((int)at));

    private static long Long(byte[] image, long at) => BinaryPrimitives.ReadInt64LittleEndian(image.AsSpan((int)at));

    private static string Name(byte[] image, long at) => Encoding.ASCII.GetString(image, (int)at, Array.IndexOf(image, (byte)0, (int)at) - (int)at);
}
