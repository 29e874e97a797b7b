using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// The files of a model folder beside configuration and weights: the tokenizer's, how to generate, and how texts become vectors
/// (<see cref="EmbeddingSettings"/>).
/// </summary>
public static class CompanionFiles
{
    private const long MaxBytes = 256 << 20;

    private static readonly string[] s_names =
        [.. TokenizerFiles.Names, "chat_template.jinja", "generation_config.json", .. EmbeddingSettings.FileNames];

    /// <summary>Copies those that are there, byte for byte; each is replaced as a whole. Those of an earlier copy that are not are removed.</summary>
    /// <param name="source">A model folder.</param>
    /// <param name="target">An existing folder, another one.</param>
    /// <exception cref="DeloraFormatException">A file can't be read.</exception>
    /// <exception cref="DeloraException">The system refused to write.</exception>
    public static void Copy(string source, string target)
    {
        foreach (string name in s_names)
        {
            string from = Path.Combine(source, name), to = Path.Combine(target, name);
            try
            {
                if (!Path.Exists(from))
                {
                    // In a folder that is not there, deleting is an error.
                    if (File.Exists(to)) File.Delete(to);
                    continue;
                }
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new DeloraException($"{to}: could not be removed: {error.Message}", error);
            }
            byte[] bytes = RegularFile.ReadAll(from, MaxBytes);
            FolderFile.Make(Path.GetDirectoryName(to)!);
            AtomicFile.Write(to, stream => stream.Write(bytes));
        }
    }
}
