using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Core;

/// <summary>
/// Every safetensors file that others wrote and that lies in the project's data, or where DELORA_GOLDEN_DIR points, opens and reads.
/// </summary>
[Trait("Category", "Golden")]
public class SafetensorsGoldenTests
{
    [Fact]
    public void Every_file_opens_and_every_tensor_is_read()
    {
        string[] files = Directory.GetFiles(Golden.GoldenCases.Root, "*.safetensors", SearchOption.AllDirectories);
        bool isOther = Environment.GetEnvironmentVariable(Golden.GoldenCases.Variable) is { Length: > 0 };
        Assert.SkipWhen(files.Length == 0 && isOther, $"the golden data in {Golden.GoldenCases.Root} have no tensors");
        Assert.NotEmpty(files);
        foreach (string path in files)
        {
            using SafetensorsFile file = SafetensorsFile.Open(path, new SafetensorsOptions { Warn = _ => { } });
            foreach (SafetensorsEntry entry in file.Entries)
            {
                using Tensor tensor = file.Read(entry.Name, Devices.Cpu);
                Assert.Equal((entry.Shape, entry.ByteLength), (tensor.Shape, tensor.ByteLength));
            }
        }
    }
}
