using System.Text.Json;
using Delora.Nn;

namespace Delora.Tests.Golden;

/// <summary>
/// Ids of real models' tokenizers: every file of the category <c>tokenizer</c> names its model and holds texts with their ids.
/// </summary>
[Trait("Category", "Golden")]
public sealed class GoldenTokenizerTests
{
    private const string Category = "tokenizer", Models = "models/";

    public static TheoryData<string> Files
    {
        get
        {
            SharedFolder folder = SharedModels.GoldenFolder(Category);
            if (folder.SkipReason is { } reason) return [new TheoryDataRow<string>(Category) { Skip = reason }];
            string[] files = [.. Directory.GetFiles(folder.Path, "*.json").Select(path => Path.GetFileName(path)!)];
            Array.Sort(files, StringComparer.Ordinal);
            return files.Length > 0 ? [.. files] : throw new InvalidDataException($"The golden category {folder.Path} holds no file.");
        }
    }

    [Theory, MemberData(nameof(Files))]
    public void TextGivesTheIdsAndComesBack(string name)
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(SharedModels.GoldenFolder(Category).Path, name)));
        string model = golden.RootElement.GetProperty("model").GetString()!;
        Assert.StartsWith(Models, model);
        TextTokenizer tokenizer = TextTokenizer.Load(SharedModels.Folder(model[Models.Length..]).PathOrSkip());

        Assert.NotEqual(0, golden.RootElement.GetProperty("cases").GetArrayLength());
        foreach (JsonElement one in golden.RootElement.GetProperty("cases").EnumerateArray())
        {
            string text = one.GetProperty("text").GetString()!;
            int[] ids = [.. one.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            Assert.Equal(ids, tokenizer.Encode(text));
            Assert.Equal(text.Replace('\u2581', ' '), tokenizer.Decode(ids));
        }
    }
}
