/**
 * Parquet files. Their descriptions are read by a package, and their pages here: the package trusts what pages say of
 * themselves, and over a damaged one, whose runs have no end or whose lengths are negative, it may never come to its
 * own or take all memory.
 *
 * @module
 */

import { loadParquet, loadParquetPageHeader } from "../../../deps.ts";
import { decoding } from "../damaged.ts";
import { Cursor } from "./cursor.ts";
import { type ColumnKind, type Page, readDictionary, readValues, type Value } from "./page.ts";

export type { Value };

/** A file's columns. */
export interface ParquetFile {
  /** Those that lie in no other. */
  readonly names: readonly string[];
  /**
   * A column's values, null where a row has none; null if there is no such column.
   *
   * @param path its name, after the names of what it lies in
   * @throws Error with what is wrong with the file
   */
  column(path: readonly string[]): Promise<Value[] | null>;
}

/**
 * Opens a file. Columns of lists are not read.
 *
 * @throws Error with what is wrong with it
 */
export async function openParquet(file: Uint8Array<ArrayBuffer>): Promise<ParquetFile> {
  const { parquetMetadata, parquetSchema } = await loadParquet();
  const { parquetHeader } = await loadParquetPageHeader();
  const { groups, root } = await whole(() => {
    const metadata = parquetMetadata(file), { row_groups: groups } = metadata;
    let rows = 0;
    for (const { num_rows } of groups) {
      rows += Number(num_rows);
      // So what its rows take in memory is bounded; nobody has samples of less than a byte.
      if (num_rows >= 0 && rows <= file.length) continue;
      throw new Error(
        `describes a group of ${num_rows} rows, ${rows} in all, in ${file.length} bytes`,
      );
    }
    return { groups, root: parquetSchema(metadata) };
  });

  /** What a column holds; null if there is none. */
  function kindOf(path: readonly string[]): ColumnKind | null {
    let node = root, optional = 0;
    for (const name of path) {
      const child = node.children.find(({ element }) => element.name === name);
      if (child === undefined) return null;
      const { repetition_type } = child.element;
      if (repetition_type === "REPEATED") {
        throw new Error(`has lists in ${name}, and none are read`);
      }
      if (repetition_type === "OPTIONAL") optional++;
      node = child;
    }
    const { type, type_length } = node.element;
    return node.children.length > 0 ? null : { type, length: type_length, optional };
  }

  function* pagesOf({ columns }: typeof groups[number], path: string): Generator<Page> {
    const chunk = columns.find(({ meta_data }) => meta_data?.path_in_schema.join(".") === path);
    const meta = chunk?.meta_data;
    if (!chunk || !meta || chunk.file_path) throw new Error(`has the values of ${path} elsewhere`);
    const start = Number(meta.dictionary_page_offset || meta.data_page_offset);
    const end = start + Number(meta.total_compressed_size);
    if (!(start >= 0 && start <= end && end <= file.length)) {
      throw new Error(`has ${path} from byte ${start} to ${end} of ${file.length}`);
    }
    const view = new DataView(file.buffer, file.byteOffset + start, end - start);
    for (const reader = { view, offset: 0 }; reader.offset < view.byteLength;) {
      const header = parquetHeader(reader), size = header.compressed_page_size;
      const bytes = new Cursor(file.subarray(start + reader.offset, end)).take(size);
      reader.offset += size;
      yield { header, bytes, codec: meta.codec };
    }
  }

  return {
    names: root.children.map(({ element }) => element.name),

    column: (path) =>
      whole(() => {
        const kind = kindOf(path), name = path.join(".");
        if (kind === null) return null;
        const all: Value[] = [];
        let rows = 0;
        for (const group of groups) {
          rows += Number(group.num_rows);
          let dictionary: Value[] | null = null;
          for (const page of pagesOf(group, name)) {
            if (page.header.type === "DICTIONARY_PAGE") dictionary = readDictionary(page, kind);
            else {for (const value of readValues(page, kind, dictionary, rows - all.length)) {
                all.push(value);
              }}
          }
          if (all.length < rows) {
            throw new Error(
              `has ${all.length} values of ${name} in ${rows} rows`,
            );
          }
        }
        return all;
      }),
  };
}

const whole = <T>(read: () => T) => decoding("parquet file", read);
