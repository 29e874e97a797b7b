using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using Delora.Core;
using Delora.Nn;

namespace Delora.Tests.Nn.Models;

/// <summary>A model folder with the shapes of Llama 3.2 1B and no data: the file is a hole behind its header.</summary>
internal static class LargeModel
{
    internal static LlamaConfig Save(string folder, bool tied = false)
    {
        LlamaConfig config = TinyLlama.Config with
        {
            VocabSize = 128_256,
            HiddenSize = 2048,
            IntermediateSize = 8192,
            NumHiddenLayers = 16,
            NumAttentionHeads = 32,
            NumKeyValueHeads = 8,
            MaxPositionEmbeddings = 8192,
            TieWordEmbeddings = tied,
        };
        Directory.CreateDirectory(folder);
        config.Save(folder, DType.BFloat16);
        long end = 0;
        Dictionary<string, object> header = [];
        foreach ((string name, Shape shape) in config.TensorShapes())
        {
            long start = end;
            end += 2 * shape.ElementCount;
            header.Add(name, new { dtype = "BF16", shape = shape.Dims.ToArray(), data_offsets = (long[])[start, end] });
        }
        byte[] json = Encoding.UTF8.GetBytes(JsonSerializer.Serialize(header)), length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, json.Length);
        using FileStream file = File.Create(Path.Combine(folder, WeightFiles.SingleName));
        file.Write(length);
        file.Write(json);
        file.SetLength(length.Length + json.Length + end);
        return config;
    }
}
