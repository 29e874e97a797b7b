using Delora.Cli;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests;

public sealed class DevicesCommandTests
{
    [Fact]
    public void TableNamesEachDeviceAndTheChoiceItsReason()
    {
        DeviceInfo cpu = new("cpu", DeviceKind.Cpu, "8 cores [AVX-512]", 3L << 29);
        DeviceInfo cuda = new("cuda:0", DeviceKind.Cuda, "NVIDIA H200", 139L << 30, Obstacle: "driver too old");
        using StringWriter output = new();
        CliConsole console = new(output, TextWriter.Null, interactive: false);
        Assert.Equal(ExitCode.Success, DevicesCommand.Show(console, [cpu, cuda], new DeviceChoice(cpu, "no CUDA GPU: driver too old")));
        string text = output.ToString();
        Assert.Matches(@"cpu +Cpu +8 cores \[AVX-512\] +1\.5 GiB", text);
        Assert.Matches(@"cuda:0 +Cuda +NVIDIA H200 +139\.0 GiB +not usable: driver too old", text);
        Assert.EndsWith("auto takes cpu: no CUDA GPU: driver too old" + Environment.NewLine, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CommandListsTheDevicesOfThisMachine()
    {
        using StringWriter output = new(), error = new();
        int exitCode = await CliApplication.Default.RunAsync(["devices"], output, error, TestContext.Current.CancellationToken);
        Assert.Equal((ExitCode.Success, ""), (exitCode, error.ToString()));
        Assert.All(Devices.All, device => Assert.Contains(device.Selector, output.ToString(), StringComparison.Ordinal));
        Assert.Contains($"auto takes {Devices.Best().Info.Selector}: ", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void UnknownDeviceIsBadInput()
    {
        InputException error = Assert.Throws<InputException>(() => SelectedDevice.Open("tpu"));
        Assert.IsType<DeviceException>(error.InnerException);
        Assert.StartsWith("--device: There is no device 'tpu'", error.Message, StringComparison.Ordinal);
        Assert.Same(Devices.Reference, SelectedDevice.Open("reference"));
    }

    [Fact]
    public void APrecisionThatTheDeviceHasNotIsBadInput()
    {
        InputException error = Assert.Throws<InputException>(() => SelectedDevice.Open("reference", MatMulPrecision.BFloat16));
        Assert.StartsWith("--precision bfloat16: ", error.Message, StringComparison.Ordinal);
        Assert.Contains("CUDA cards of compute capability 8.0", error.Message, StringComparison.Ordinal);
        error = Assert.Throws<InputException>(() => SelectedDevice.Open("simulator", MatMulPrecision.TensorFloat32));
        Assert.StartsWith("--precision tf32: ", error.Message, StringComparison.Ordinal);
        Assert.Same(Devices.Reference, SelectedDevice.Open("reference", MatMulPrecision.Float32));
    }
}
