using System.Globalization;
using Delora.Cli;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests;

public sealed class InspectCommandTests
{
    private static async Task<(int ExitCode, string Output, string Error)> Inspect(string path)
    {
        using StringWriter output = new(), error = new();
        int exitCode = await CliApplication.Default.RunAsync(["inspect", path], output, error, TestContext.Current.CancellationToken);
        return (exitCode, output.ToString(), error.ToString());
    }

    private static async Task<string> Shown(string path)
    {
        (int exitCode, string output, string error) = await Inspect(path);
        Assert.Equal((ExitCode.Success, ""), (exitCode, error));
        return output;
    }

    private static async Task Refused(string path, string told)
    {
        (int exitCode, string output, string error) = await Inspect(path);
        Assert.Equal((ExitCode.BadInput, ""), (exitCode, output));
        Assert.Contains(told, error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd().Split('\n'));
    }

    /// <summary>Saves adapters on a small network and returns ‖ΔW‖ of each layer as the model computes it.</summary>
    private static Dictionary<string, double> Save(string folder, string name, AdapterConfig config)
    {
        using Sequential network = new(
            new Linear(6, 5, Devices.Cpu, new Generator(1)), Activation.Relu(), new Linear(5, 7, Devices.Cpu, new Generator(2)));
        using PeftModel peft = new(network);
        peft.AddAdapter(config, new Generator(3), name);
        peft.Save(folder);
        return peft.BoundReport().Layers.ToDictionary(x => x.Layer, x => x.Norm);
    }

    [Fact]
    public async Task FileShowsMetadataTensorsAndTotals()
    {
        using TemporaryFolder folder = new();
        string header = "{\"__metadata__\":{\"format\":\"pt\\u001b[31m\"},"
            + "\"a\\u001b[2J\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
            + "\"q\":{\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[24,32]}}";
        byte[] bytes = [.. BitConverter.GetBytes((ulong)header.Length), .. System.Text.Encoding.UTF8.GetBytes(header), .. new byte[32]];
        string file = folder.File("m.safetensors");
        File.WriteAllBytes(file, bytes);

        string text = await Shown(file);
        Assert.Matches(@"a\\u001b\[2J +F32 +\[2, 3\] +6 +24", text);
        Assert.Matches(@"q +F8_E4M3 \* +\[8\] +8 +8", text);
        Assert.Contains("metadata format: pt\\u001b[31m", text, StringComparison.Ordinal);
        Assert.Contains("2 tensors, 14 elements, 32 bytes", text, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', text);
    }

    [Fact]
    public async Task AdapterShowsConfigurationAndTheNormsThatTheModelComputes()
    {
        using TemporaryFolder folder = new();
        Dictionary<string, double> norms = Save(
            folder.Path, PeftModel.DefaultAdapter,
            new DeloraConfig { R = 3, DeloraLambda = 2, InitWeights = false, TargetModules = ModuleSelector.Of("0", "2") });
        string text = await Shown(folder.Path);
        Assert.Contains("peft_type: DELORA", text, StringComparison.Ordinal);
        Assert.Contains("r: 3", text, StringComparison.Ordinal);
        Assert.Contains("target_modules: 0, 2", text, StringComparison.Ordinal);
        foreach ((string layer, double norm) in norms)
            Assert.Matches($@"\n  {layer} .*λ = 2 +{norm.ToString("G5", CultureInfo.InvariantCulture).Replace(".", @"\.")} ", text);
        Assert.Contains($"{(3 * (6 + 5)) + 1 + (3 * (5 + 7)) + 1} adapter parameters in 2 layers", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AdaptersInSubfoldersAreShownInOrderWithTheirPatterns()
    {
        using TemporaryFolder folder = new();
        LoraConfig lora = new()
        {
            R = 4,
            LoraAlpha = 8,
            InitWeights = false,
            TargetModules = ModuleSelector.Of("0", "2"),
            RankPattern = [new("2", 2)],
            AlphaPattern = [new("2", 16)],
        };
        Dictionary<string, double> norms = Save(folder.Path, "style", lora);
        Save(folder.Path, "domain", new DeloraConfig { TargetModules = ModuleSelector.Of("2"), ResidualInitialization = true });
        Directory.CreateDirectory(folder.File("empty"));
        string text = await Shown(folder.Path);
        Assert.True(text.IndexOf("domain", StringComparison.Ordinal) < text.IndexOf("style", StringComparison.Ordinal));
        Assert.Matches(@"\n  0 +6 +5 +4 +α/r = 2 .* none ", text);
        Assert.Matches(@"\n  2 +5 +7 +2 +α/r = 8 .* none ", text);
        Assert.Contains(norms["2"].ToString("G5", CultureInfo.InvariantCulture), text, StringComparison.Ordinal);
        Assert.Matches(@"\n  2 +5 +7 +16 +λ = 30 ", text);
    }

    [Fact]
    public async Task SavedModulesAreListed()
    {
        using TemporaryFolder folder = new();
        Save(folder.Path, PeftModel.DefaultAdapter, new DeloraConfig { TargetModules = ModuleSelector.Of("0"), ModulesToSave = ["2"] });
        string text = await Shown(folder.Path);
        Assert.Contains("base_model.model.2.weight: F32 [7, 5]", text, StringComparison.Ordinal);
        Assert.Contains("in 1 layers and 2 other tensors", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WhatIsNoFileToShowIsRefused()
    {
        using TemporaryFolder folder = new();
        await Refused(folder.File("absent"), "there is no such file");
        await Refused(folder.Path, "no adapter_config.json");
        await Refused(folder.Write("empty", ""), "empty");
        string pointer = folder.Write("lfs.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
        await Refused(pointer, "Git LFS pointer");
        await Refused(folder.Path, "lfs.safetensors");
        await Refused("", "an empty name");
        if (!OperatingSystem.IsWindows())
            await Refused("/dev/zero", "not a regular file");
    }

    [Fact]
    public async Task DamagedAdaptersAreRefused()
    {
        using TemporaryFolder folder = new();
        Save(folder.Path, PeftModel.DefaultAdapter, new DeloraConfig { R = 2, TargetModules = ModuleSelector.Of("0") });
        string config = folder.File(AdapterConfig.FileName), weights = folder.File(PeftModel.WeightsFileName);
        string json = File.ReadAllText(config);
        byte[] bytes = File.ReadAllBytes(weights);

        File.WriteAllText(config, json.Replace("\"r\": 2", "\"r\": 3", StringComparison.Ordinal));
        await Refused(folder.Path, "has rank 2; the configuration says 3");
        File.WriteAllText(config, json.Replace("\"0\"", "\"other\"", StringComparison.Ordinal));
        await Refused(folder.Path, "target_modules");
        File.WriteAllText(config, json.Replace("DELORA", "LOHA", StringComparison.Ordinal));
        await Refused(folder.Path, "'LOHA' is not supported");
        File.WriteAllText(config, "");
        await Refused(folder.Path, "empty");

        File.WriteAllText(config, json);
        File.WriteAllBytes(weights, bytes[..^2]);
        await Refused(folder.Path, "cut short");
        using (SafetensorsFile whole = Reopen(weights, bytes))
        using (TensorScope scope = new())
        {
            Dictionary<string, Tensor> tensors = whole.Entries.ToDictionary(x => x.Name, x => whole.Read(x.Name, Devices.Cpu));
            string lambda = tensors.Keys.Single(x => x.EndsWith("lambda", StringComparison.Ordinal));
            SafetensorsFile.Write(weights, tensors.Where(x => x.Key != lambda));
            await Refused(folder.Path, "missing: base_model.model.0.delora_lambda");
            tensors[lambda] = Tensor.From([1f, 2f], [2], Devices.Cpu);
            SafetensorsFile.Write(weights, tensors);
            await Refused(folder.Path, "[2]");
        }

        File.Delete(weights);
        await Refused(folder.Path, "there is no such file");
        File.WriteAllText(folder.File("adapter_model.bin"), "");
        await Refused(folder.Path, "pickle");
    }

    private static SafetensorsFile Reopen(string path, byte[] bytes)
    {
        File.WriteAllBytes(path, bytes);
        return SafetensorsFile.Open(path);
    }
}
