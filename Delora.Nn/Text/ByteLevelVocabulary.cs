namespace Delora.Nn;

/// <summary>A byte-level BPE vocabulary that has been checked: every merge's tokens are there, and all 256 bytes.</summary>
/// <param name="Tokens">The bytes of each token; none for a special one.</param>
/// <param name="Merges">Left, right and merged id, the first merge first.</param>
/// <param name="Specials">Special tokens.</param>
internal sealed record ByteLevelVocabulary(
    byte[][] Tokens, IReadOnlyList<(int Left, int Right, int Id)> Merges, IReadOnlyDictionary<string, int> Specials);
